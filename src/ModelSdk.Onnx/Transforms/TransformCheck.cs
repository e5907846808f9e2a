using ModelSdk.Manifest;
using ModelSdk.Onnx.Transforms.Maps;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Transforms;

/// <summary>Refuses transforms that do not fit a model or that cannot be undone.</summary>
internal static class TransformCheck
{
    public static void Check(ModelTransforms transforms, TransformerConfig config)
    {
        int d = config.HiddenSize;
        if (transforms.Residual is { } residual)
        {
            if (!transforms.FoldNorms)
                throw Invalid("T_r needs the norms folded: a norm's gain does not commute with a rotation. Set FoldNorms.");
            Numbers(residual, (long)d * d, "T_r", $"{d} x {d}");
            double error = SquareMatrix.OrthogonalityError(residual, d);
            if (error > 1e-10)
                throw Invalid($"T_r is not orthogonal: R R^T differs from the identity by {error:G3}.");
        }

        if (transforms.Layers.Count != 0 && transforms.Layers.Count != config.Layers)
            throw Invalid($"there are transforms for {transforms.Layers.Count} layers; the model has {config.Layers}.");
        for (int layer = 0; layer < transforms.Layers.Count; layer++)
            Check(transforms.Layers[layer], config, layer);
    }

    public static ExportException Invalid(string what) => new(DiagnosticCodes.TransformInvalid, $"A transform is invalid: {what}");

    private static void Check(LayerTransforms layer, TransformerConfig config, int number)
    {
        string where = $" of layer {number}";
        int pairs = config.KeyValueSize / 2;
        if (layer.Keys is { } keys)
        {
            Factors(keys.Scales, pairs, "the scales of T_k" + where);
            Numbers(keys.Angles, pairs, "the angles of T_k" + where, $"{pairs}");
        }

        if (layer.Values?.Factors is { } factors)
            Factors(factors, config.KeyValueSize, "T_v" + where);
        if (layer.Values is { } values && (values.Heads(config.HeadSize) != config.KeyValueHeads || values.Matrices?.Any(m => m.Length != config.HeadSize * config.HeadSize) == true))
            throw Invalid($"T_v{where} does not have {config.KeyValueHeads} heads of {config.HeadSize} channels.");
        if (layer.Up is { } up)
            Factors(up, config.IntermediateSize, "T_u" + where);
        if (layer.Permutation is { } order && !order.Order().SequenceEqual(Enumerable.Range(0, config.IntermediateSize)))
            throw Invalid($"the permutation{where} is no order of {config.IntermediateSize} channels.");
    }

    private static void Factors(double[] values, int count, string what)
    {
        Numbers(values, count, what, $"{count}");
        int zero = Array.IndexOf(values, 0.0);
        if (zero >= 0)
            throw Invalid($"{what} is 0 at {zero}, which cannot be undone.");
    }

    private static void Numbers(double[] values, long count, string what, string shape)
    {
        if (values.Length != count)
            throw Invalid($"{what} must have {shape} values, not {values.Length}.");
        int bad = Array.FindIndex(values, v => !double.IsFinite(v));
        if (bad >= 0)
            throw Invalid($"{what} holds {values[bad]} at {bad}.");
    }
}
