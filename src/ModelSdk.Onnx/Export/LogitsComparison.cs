using System.Numerics.Tensors;

namespace ModelSdk.Onnx.Export;

/// <summary>How far two sets of logits are apart.</summary>
internal static class LogitsComparison
{
    /// <summary>Compares logits [T, V] with expected ones.</summary>
    /// <returns>
    /// The root mean square and the greatest of the differences, both divided by the root mean square of <paramref name="expected"/>
    /// (NaN when either holds NaN), and the share of positions with the same argmax.
    /// </returns>
    public static (double Difference, double Greatest, double ArgmaxAgreement) Compare(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, int vocabulary)
    {
        if (expected.Length != actual.Length)
            throw new ArgumentException($"{expected.Length} logits cannot be compared with {actual.Length}.");
        double most = 0;
        double squares = 0;
        double errors = 0;
        int same = 0;
        int positions = expected.Length / vocabulary;
        for (int t = 0; t < positions; t++)
        {
            ReadOnlySpan<float> e = expected.Slice(t * vocabulary, vocabulary);
            ReadOnlySpan<float> a = actual.Slice(t * vocabulary, vocabulary);
            for (int v = 0; v < vocabulary; v++)
            {
                double difference = Math.Abs((double)e[v] - a[v]);
                most = double.IsNaN(difference) ? double.NaN : Math.Max(most, difference);
                errors += difference * difference;
                squares += (double)e[v] * e[v];
            }

            if (TensorPrimitives.IndexOfMax(e) == TensorPrimitives.IndexOfMax(a))
                same++;
        }

        // Logits that are all zero are compared absolutely.
        double scale = squares > 0 ? Math.Sqrt(squares / expected.Length) : 1;
        return (Math.Sqrt(errors / Math.Max(1, expected.Length)) / scale, most / scale, positions == 0 ? 1 : (double)same / positions);
    }
}
