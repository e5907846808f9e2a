namespace ModelSdk.Training.Heads;

/// <summary>Mean and deviation of each feature, by which a head trains well whatever the scale of the base's hidden states; folded into its weights afterwards.</summary>
/// <param name="Mean">[D].</param>
/// <param name="Deviation">[D], never 0.</param>
internal sealed record FeatureScale(double[] Mean, double[] Deviation)
{
    /// <summary>Measures rows.</summary>
    public static FeatureScale Of(IReadOnlyList<float[]> rows)
    {
        var mean = new double[rows[0].Length];
        var deviation = new double[mean.Length];
        for (var j = 0; j < mean.Length; j++)
        {
            mean[j] = rows.Average(r => (double)r[j]);
            deviation[j] = Math.Sqrt(rows.Average(r => (r[j] - mean[j]) * (r[j] - mean[j]))) + 1e-6;
        }

        return new FeatureScale(mean, deviation);
    }

    /// <summary>(x - mean) / deviation of some rows, row-major.</summary>
    public float[] Apply(IEnumerable<float[]> rows) => [.. rows.SelectMany(r => r.Select((x, j) => (float)((x - Mean[j]) / Deviation[j])))];

    /// <summary>Weights [n, D] and biases [n] over standardised features become those over plain ones.</summary>
    public (float[] Weight, float[] Bias) Fold(float[] weight, float[] bias)
    {
        var folded = new float[weight.Length];
        var offsets = new float[bias.Length];
        for (var i = 0; i < bias.Length; i++)
        {
            double offset = bias[i];
            for (var j = 0; j < Mean.Length; j++)
            {
                var w = weight[(i * Mean.Length) + j] / Deviation[j];
                folded[(i * Mean.Length) + j] = (float)w;
                offset -= w * Mean[j];
            }

            offsets[i] = (float)offset;
        }

        return (folded, offsets);
    }
}
