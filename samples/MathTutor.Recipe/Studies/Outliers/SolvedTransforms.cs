using ModelSdk.Onnx.Transforms;
using ModelSdk.Runtime.Bundles;

namespace MathTutor.Recipe.Studies.Outliers;

/// <summary>
/// The transforms of the paper in closed form, from the weights and from keys and values of calibration texts: T_k makes all key pairs equally long at most; T_v and T_u
/// share the magnitude of a channel out between the activation and the column of weights that reads it; T_r is a Hadamard matrix on folded norms.
/// </summary>
/// <remarks>
/// A column f of a row-scaled matrix adds to the output an error of about step^2 D^2 E[x^2], with step^2 growing as the sum of |W_f|^2 / D^2. The least product of both sums is at
/// D^2 = |W_f| / rms(x_f) (Cauchy and Schwarz). For T_v rms(x) is measured. For T_u it is what random inputs of unit variance give: proportional to the lengths of the rows of up_proj and
/// gate_proj behind the norm's gain, so nothing has to be recorded inside the layer.
/// </remarks>
internal static class SolvedTransforms
{
    /// <summary>Solves them.</summary>
    /// <param name="config">Shape of the model.</param>
    /// <param name="read">Its weights by Hugging Face name.</param>
    /// <param name="statistics">Keys and values of calibration texts.</param>
    /// <param name="rotate">Whether norms are folded and the residual stream is rotated.</param>
    public static ModelTransforms Of(TransformerConfig config, Func<string, float[]> read, CacheStatistics statistics, bool rotate) => new()
    {
        FoldNorms = rotate,
        Residual = rotate ? OrthogonalMatrices.Hadamard(config.HiddenSize) : null,
        Layers = [.. Enumerable.Range(0, config.Layers).Select(layer => new LayerTransforms
        {
            Keys = KeyTransform.FromMaxima(statistics.KeyPairMaxima(layer)),
            Values = ValueTransform.Diagonal(Balance(ValueReaders(config, read, layer), statistics.ValueRms(layer))),
            Up = Up(config, read, layer),
        })],
    };

    /// <summary>D = sqrt(|W_f| / rms(x_f)) of each channel; 1 where either is 0.</summary>
    /// <param name="readers">Length of the column that reads each channel.</param>
    /// <param name="activations">Root mean square of each channel.</param>
    internal static double[] Balance(IReadOnlyList<double> readers, IReadOnlyList<double> activations) =>
        [.. readers.Zip(activations, (w, x) => w > 0 && x > 0 ? Math.Sqrt(w / x) : 1)];

    private static double[] Up(TransformerConfig config, Func<string, float[]> read, int layer)
    {
        string prefix = $"model.layers.{layer}.";
        float[] gain = read(prefix + "post_attention_layernorm.weight");
        double[] up = RowLengths(read(prefix + "mlp.up_proj.weight"), gain), gate = RowLengths(read(prefix + "mlp.gate_proj.weight"), gain);
        return Balance(ColumnLengths(read(prefix + "mlp.down_proj.weight"), config.IntermediateSize), [.. up.Zip(gate, (u, g) => u * g)]);
    }

    /// <summary>Length of the columns of o_proj that read each value channel, over all heads of its group: [KVH h].</summary>
    private static double[] ValueReaders(TransformerConfig config, Func<string, float[]> read, int layer)
    {
        double[] columns = ColumnLengths(read($"model.layers.{layer}.self_attn.o_proj.weight"), config.QuerySize);
        int size = config.HeadSize, group = config.Heads / config.KeyValueHeads;
        return [.. Enumerable.Range(0, config.KeyValueSize).Select(c => Math.Sqrt(Enumerable.Range(0, group).Sum(g => Math.Pow(columns[((((c / size) * group) + g) * size) + (c % size)], 2))))];
    }

    private static double[] ColumnLengths(float[] matrix, int columns)
    {
        var sums = new double[columns];
        for (int i = 0; i < matrix.Length; i++)
        {
            sums[i % columns] += (double)matrix[i] * matrix[i];
        }

        return [.. sums.Select(Math.Sqrt)];
    }

    private static double[] RowLengths(float[] matrix, float[] gain)
    {
        var sums = new double[matrix.Length / gain.Length];
        for (int i = 0; i < matrix.Length; i++)
        {
            sums[i / gain.Length] += Math.Pow(matrix[i] * gain[i % gain.Length], 2);
        }

        return [.. sums.Select(Math.Sqrt)];
    }
}
