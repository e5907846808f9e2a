using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Training.Quantization;

/// <summary>Collects what solvers need to know of a base's activations.</summary>
public static class CalibrationRecipe
{
    /// <summary>Tokens of E[x^2]: means of squares settle early.</summary>
    public const int BalancedTokens = 4096;

    /// <summary>Tokens of x x^T: a few for each channel of the widest linear of a small model.</summary>
    public const int BestTokens = 32_768;

    /// <summary>Tokens that are taken of one text at most; attention costs the square.</summary>
    public const int TextTokens = 1024;

    /// <summary>Texts evenly spread over a data set until there are enough tokens; always the same.</summary>
    /// <param name="examples">Whole conversations, of one or more data sets.</param>
    /// <param name="tokens">Tokens wanted.</param>
    public static IReadOnlyList<int[]> Choose(IReadOnlyList<int[]> examples, int tokens)
    {
        var chosen = new List<int[]>();
        int left = tokens;
        // Every 2^k-th first, then those between: whatever the number of tokens, the data are covered evenly.
        foreach (int i in Spread(examples.Count))
        {
            int take = Math.Min(Math.Min(examples[i].Length, TextTokens), left);
            if (take > 0)
                chosen.Add(examples[i][..take]);
            left -= take;
            if (left == 0)
                break;
        }

        return chosen;
    }

    /// <summary>Runs the texts through the base: once for means of squares, and once more, layer by layer as they are asked for, for products.</summary>
    /// <param name="config">Shape of the base.</param>
    /// <param name="read">Gives its weights in full precision.</param>
    /// <param name="texts">Tokens of each text.</param>
    /// <param name="grams">Whether products of channels are wanted: quality best.</param>
    /// <param name="progress">Receives the share of layers done, 0 to 1.</param>
    /// <param name="cancellationToken">Checked between batches.</param>
    /// <exception cref="TrainingException">MDL3001: torch is not available; MDL4051: an activation is not finite.</exception>
    public static Calibration Run(TransformerConfig config, WeightReader read, IReadOnlyList<int[]> texts, bool grams, IProgress<double>? progress = null, CancellationToken cancellationToken = default)
    {
        var layers = new List<LayerActivations>();
        using (var pass = new CalibrationPass(config, read, texts, cancellationToken: cancellationToken))
        {
            for (int layer = 0; layer < config.Layers; layer++)
            {
                layers.Add(pass.Next(grams: false).Activations);
                progress?.Report((layer + 1.0) / config.Layers);
            }
        }

        if (!grams)
            return new Calibration(layers, null);
        CalibrationPass? second = null;
        return new Calibration(layers, layer =>
        {
            second ??= new CalibrationPass(config, read, texts, cancellationToken: cancellationToken);
            if (second.Layers != layer)
                throw new InvalidOperationException($"Layer {layer} was asked for, but {second.Layers} is next.");
            LayerGrams result = second.Next(grams: true).Grams!;
            if (second.Layers == config.Layers)
                second.Dispose();
            return result;
        });
    }

    /// <summary>0 .. count - 1 in the order of their reversed bits.</summary>
    private static IEnumerable<int> Spread(int count)
    {
        int bits = 0;
        while (1L << bits < count)
            bits++;
        for (long i = 0; i < 1L << bits; i++)
        {
            long reversed = 0;
            for (int b = 0; b < bits; b++)
                reversed |= ((i >> b) & 1) << (bits - 1 - b);
            if (reversed < count)
                yield return (int)reversed;
        }
    }
}
