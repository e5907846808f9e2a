using ModelSdk.Onnx.Checkpoints;

namespace ModelSdk.Onnx.Quantization;

/// <summary>Rows of a matrix, evenly spread, that stand for all of it where an error is measured.</summary>
internal static class SampledRows
{
    /// <summary>Rows that are taken; more do not change what is chosen.</summary>
    private const int Most = 128;

    /// <summary>Reads the rows and nothing else.</summary>
    /// <param name="checkpoint">The base in full precision.</param>
    /// <param name="name">Hugging Face name of a matrix.</param>
    /// <returns>Row-major [rows, columns], at most 128 rows.</returns>
    public static float[] Read(Checkpoint checkpoint, string name)
    {
        long[] shape = checkpoint.Tensors[name].Shape;
        (int rows, int columns) = ((int)shape[0], (int)shape[1]);
        int count = Math.Min(rows, Most);
        var sample = new float[count * columns];
        for (int i = 0; i < count; i++)
            checkpoint.ReadFinite(name, sample.AsSpan(i * columns, columns), (long)i * rows / count * columns);
        return sample;
    }
}
