using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Transforms;

namespace ModelSdk.Onnx.Quantization;

/// <summary>
/// transforms.safetensors beside quantized weights: what was folded into them, so that adapters can be moved from the original base and back.
/// Factors are exact as singles.
/// </summary>
internal static class TransformsFile
{
    public const string Name = "transforms.safetensors";

    /// <summary>Writes the file; nothing where nothing was folded.</summary>
    public static void Write(string folder, ModelTransforms transforms)
    {
        if (transforms.IsIdentity)
            return;
        var tensors = new List<TensorData>();
        foreach ((int layer, LayerTransforms own) in transforms.Layers.Index())
        {
            Add(layer, "up", own.Up);
            Add(layer, "values", own.Values?.Factors);
            Add(layer, "permutation", own.Permutation?.Select(i => (double)i));
        }

        SafetensorsWriter.Write(Path.Combine(folder, Name), tensors);

        void Add(int layer, string what, IEnumerable<double>? values)
        {
            float[]? singles = values is null ? null : [.. values.Select(v => (float)v)];
            if (singles is not null)
                tensors.Add(new TensorData(TensorNames.Layer(layer, what), TensorDType.F32, [singles.Length], singles));
        }
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <param name="folder">Folder of quantized weights.</param>
    /// <param name="layers">Layers of the model.</param>
    public static ModelTransforms Read(string folder, int layers)
    {
        string path = Path.Combine(folder, Name);
        if (!File.Exists(path))
            return new ModelTransforms();
        using SafetensorsFile file = SafetensorsFile.Open(path);
        return new ModelTransforms
        {
            Layers =
            [
                .. Enumerable.Range(0, layers).Select(layer => new LayerTransforms
                {
                    Up = Find(layer, "up"),
                    Values = Find(layer, "values") is { } factors ? ValueTransform.Diagonal(factors) : null,
                    Permutation = Find(layer, "permutation") is { } order ? [.. order.Select(i => (int)i)] : null,
                }),
            ],
        };

        double[]? Find(int layer, string what) => file.Tensors.ContainsKey(TensorNames.Layer(layer, what))
            ? Array.ConvertAll(file.ReadFloats(TensorNames.Layer(layer, what)), v => (double)v)
            : null;
    }
}
