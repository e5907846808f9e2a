using ModelSdk.Onnx.Transforms;
using ModelSdk.Runtime.Bundles;

namespace MathTutor.Recipe.Studies.Outliers;

/// <summary>
/// Changes of basis that leave what a model computes as it is and give it the outliers of large models: pairs of key channels, value channels and feed-forward channels
/// that are many times as large as their neighbours (Qwen's keys are) with the weights behind them as much smaller, and others the other way round.
/// </summary>
internal static class PlantedOutliers
{
    /// <summary>Draws them.</summary>
    /// <param name="config">Shape of the model.</param>
    /// <param name="factor">How many times as large, or as small, an outlier becomes.</param>
    /// <param name="share">Share of channels that become outliers.</param>
    /// <param name="seed">Seed.</param>
    public static ModelTransforms Of(TransformerConfig config, double factor, double share, int seed)
    {
        var random = new Random(seed);
        double[] Factors(int count)
        {
            int[] order = [.. Enumerable.Range(0, count)];
            random.Shuffle(order);
            var factors = new double[count];
            Array.Fill(factors, 1);
            int outliers = Math.Max(2, (int)Math.Round(share * count));
            for (int i = 0; i < outliers; i++)
            {
                factors[order[i]] = i % 2 == 0 ? factor : 1 / factor;
            }

            return factors;
        }

        int pairs = config.KeyValueSize / 2;
        return new ModelTransforms
        {
            Layers =
            [
                .. Enumerable.Range(0, config.Layers).Select(_ => new LayerTransforms
                {
                    Keys = new KeyTransform(Factors(pairs), new double[pairs]),
                    Values = ValueTransform.Diagonal(Factors(config.KeyValueSize)),
                    Up = Factors(config.IntermediateSize),
                }),
            ],
        };
    }
}
