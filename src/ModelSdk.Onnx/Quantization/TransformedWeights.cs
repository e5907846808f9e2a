using System.Runtime.ExceptionServices;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Transforms;
using ModelSdk.Onnx.Transforms.Maps;

namespace ModelSdk.Onnx.Quantization;

/// <summary>
/// A checkpoint as it is stored, read in runs of rows on all cores. A tensor whose transform mixes rows is read whole and kept until
/// another one is asked for; what the solvers fold in never does.
/// </summary>
internal sealed class TransformedWeights(Checkpoint checkpoint, ModelTransforms transforms)
{
    /// <summary>Fewest elements that are worth a thread.</summary>
    private const int Grain = 1 << 18;

    private readonly TransformedModel _model = new(checkpoint, transforms);
    private string? _name;
    private AxisMap? _rows;
    private AxisMap? _columns;
    private float[]? _whole;

    /// <summary>Reads rows of a matrix, or elements of a vector.</summary>
    /// <param name="name">Hugging Face name.</param>
    /// <param name="target">Receives the elements; whole rows.</param>
    /// <param name="start">Index of the first element in the flattened tensor; that of a row.</param>
    /// <exception cref="ExportException">MDL4002: a weight is not finite.</exception>
    public void Read(string name, Memory<float> target, long start = 0)
    {
        Select(name);
        if (_whole is not null)
        {
            _whole.AsSpan((int)start, target.Length).CopyTo(target.Span);
            return;
        }

        long[] shape = checkpoint.Tensors[name].Shape;
        int width = shape.Length == 1 ? 1 : (int)shape[1];
        int rows = target.Length / width, band = Math.Max(1, Grain / width), bands = (rows + band - 1) / band;
        var failures = new ExceptionDispatchInfo?[bands];
        Parallel.For(0, bands, () => IsUnchanged ? [] : new double[width], (i, _, buffer) =>
        {
            int from = i * band, to = Math.Min(from + band, rows);
            try
            {
                ReadBand(name, (int)(start / width) + from, target.Span[(from * width)..(to * width)], width, buffer);
            }
            catch (ExportException e)
            {
                failures[i] = ExceptionDispatchInfo.Capture(e); // Parallel.For would wrap it, and report any.
            }

            return buffer;
        }, _ => { });
        failures.FirstOrDefault(f => f is not null)?.Throw();
    }

    private bool IsUnchanged => _rows is null && _columns is null;

    private void ReadBand(string name, int firstRow, Span<float> target, int width, double[] buffer)
    {
        if (IsUnchanged)
        {
            checkpoint.ReadFinite(name, target, (long)firstRow * width);
            return;
        }

        for (int i = 0; i < target.Length / width; i++)
            ReadRow(name, firstRow + i, target.Slice(i * width, width), buffer);
    }

    /// <summary>One row in double precision, as <see cref="TransformedModel.Read"/> makes it of the whole.</summary>
    private void ReadRow(string name, int row, Span<float> target, double[] buffer)
    {
        (int source, double factor) = _columns?.Element(row) ?? (row, 1);
        checkpoint.ReadFinite(name, target, (long)source * target.Length);
        for (int i = 0; i < target.Length; i++)
            buffer[i] = target[i];
        _rows?.Apply(buffer);
        for (int i = 0; i < target.Length; i++)
            target[i] = (float)(buffer[i] * factor);
    }

    /// <summary>Finds what is done to a tensor.</summary>
    private void Select(string name)
    {
        if (_name == name)
            return;
        (_name, _whole) = (name, null);
        (_rows, _columns) = IsChanged(name) ? _model.MapsOf(name) : (null, null);
        if (_columns is not null && _columns.Element(0) is null)
            _whole = _model.ReadSingles(name);
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
