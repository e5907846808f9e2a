using ModelSdk.Onnx.Transforms;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Support;

/// <summary>Transforms far from the identity, drawn from a seed.</summary>
internal static class RandomTransforms
{
    /// <summary>The kinds that <see cref="Of"/> knows, and "all" of them.</summary>
    public static readonly string[] Kinds = ["norms", "residual", "keys", "values", "diagonal values", "up", "permutation", "all"];

    public static ModelTransforms Of(TransformerConfig config, string kind, int seed = 4)
    {
        bool Has(string part) => kind == part || (kind == "all" && part != "diagonal values");
        var random = new Random(seed);
        return new ModelTransforms
        {
            FoldNorms = Has("norms") || Has("residual"),
            Residual = Has("residual") ? OrthogonalMatrices.Random(config.HiddenSize, seed) : null,
            Layers = [.. Enumerable.Range(0, config.Layers).Select(_ => new LayerTransforms
            {
                Keys = Has("keys") ? new KeyTransform(Factors(config.KeyValueSize / 2), [.. Enumerable.Range(0, config.KeyValueSize / 2).Select(_ => 7 * random.NextDouble())]) : null,
                Values = Has("values") ? ValueTransform.General([.. Enumerable.Range(0, config.KeyValueHeads).Select(_ => Matrix(config.HeadSize))], config.HeadSize)
                    : Has("diagonal values") ? ValueTransform.Diagonal(Factors(config.KeyValueSize)) : null,
                Up = Has("up") ? Factors(config.IntermediateSize) : null,
                Permutation = Has("permutation") ? Order(config.IntermediateSize) : null,
            })],
        };

        double[] Factors(int count) => [.. Enumerable.Range(0, count).Select(_ => (random.Next(2) == 0 ? -1 : 1) * Math.Exp(TinyModel.Normal(random)))];

        double[] Matrix(int n) => [.. Enumerable.Range(0, n * n).Select(i => (i / n == i % n ? 2 : 0) + (TinyModel.Normal(random) / Math.Sqrt(n)))];

        int[] Order(int count)
        {
            int[] order = [.. Enumerable.Range(0, count)];
            random.Shuffle(order);
            return order;
        }
    }
}
