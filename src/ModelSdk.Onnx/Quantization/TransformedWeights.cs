using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Transforms;

namespace ModelSdk.Onnx.Quantization;

/// <summary>A checkpoint as it is stored: tensors that a transform changes are read whole and kept until another one is asked for, the others in runs.</summary>
internal sealed class TransformedWeights(Checkpoint checkpoint, ModelTransforms transforms)
{
    private readonly TransformedModel _model = new(checkpoint, transforms);
    private string? _name;
    private float[] _values = [];

    /// <summary>Reads a run of a tensor's elements, as <see cref="Checkpoint.Read(string, Span{float}, long)"/>.</summary>
    public void Read(string name, Span<float> target, long start = 0)
    {
        if (!IsChanged(name))
        {
            checkpoint.Read(name, target, start);
            return;
        }

        if (_name != name)
        {
            _values = [];
            (_name, _values) = (name, _model.ReadSingles(name));
        }

        _values.AsSpan((int)start, target.Length).CopyTo(target);
    }

    private bool IsChanged(string name)
    {
        string[] path = name.Split('.');
        if (path.Length < 5 || transforms.Layers.Count == 0)
            return false;
        LayerTransforms layer = transforms.Layers[int.Parse(path[2], System.Globalization.CultureInfo.InvariantCulture)];
        return path[^2] switch
        {
            "q_proj" or "k_proj" => layer.Keys is not null,
            "v_proj" or "o_proj" => layer.Values is not null,
            "gate_proj" => layer.Permutation is not null,
            "up_proj" or "down_proj" => layer.Up is not null || layer.Permutation is not null,
            _ => false,
        };
    }
}
