using ModelSdk.Onnx.Adapters;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Support;

/// <summary>
/// Qwen2 written plainly in double precision after Hugging Face's modeling_qwen2.py: the independent form that graphs are
/// compared with. No cache, no fusion, one token sequence at a time. The adapter acts on tokens from a start on (masked LoRA).
/// </summary>
internal sealed class ReferenceTransformer(TransformerConfig config, Func<string, double[]> read, LoraAdapter? adapter = null, int adapterStart = 0)
{
    private readonly Dictionary<string, double[]> cache = [];

    public ReferenceTransformer(TransformerConfig config, Func<string, float[]> read, LoraAdapter? adapter = null, int adapterStart = 0)
        : this(config, name => Widened(read(name)), adapter, adapterStart)
    {
    }

    /// <summary>Logits of every position, [T][V].</summary>
    public double[][] Forward(int[] ids) => Linear(Hidden(ids), "lm_head");

    /// <summary>Hidden states behind the final norm, [T][D].</summary>
    public double[][] Hidden(int[] ids)
    {
        int d = config.HiddenSize;
        double[][] x = [.. ids.Select(id => Read("model.embed_tokens.weight").AsSpan(id * d, d).ToArray())];
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string name = $"model.layers.{layer}";
            double[][] h = Norm(x, $"{name}.input_layernorm.weight");
            x = Add(x, Attention(h, $"{name}.self_attn"));
            h = Norm(x, $"{name}.post_attention_layernorm.weight");
            double[][] gate = Linear(h, $"{name}.mlp.gate_proj");
            double[][] up = Linear(h, $"{name}.mlp.up_proj");
            double[][] product = [.. gate.Zip(up, (g, u) => g.Zip(u, (a, b) => a / (1 + Math.Exp(-a)) * b).ToArray())];
            x = Add(x, Linear(product, $"{name}.mlp.down_proj"));
        }

        return Norm(x, "model.norm.weight");
    }

    private double[][] Attention(double[][] h, string name)
    {
        int size = config.HeadSize;
        int group = config.Heads / config.KeyValueHeads;
        double[][] q = Linear(h, $"{name}.q_proj", bias: true);
        double[][] k = Linear(h, $"{name}.k_proj", bias: true);
        double[][] v = Linear(h, $"{name}.v_proj", bias: true);
        for (int t = 0; t < h.Length; t++)
        {
            for (int head = 0; head < config.Heads; head++)
                Rotate(q[t].AsSpan(head * size, size), t);
            for (int head = 0; head < config.KeyValueHeads; head++)
                Rotate(k[t].AsSpan(head * size, size), t);
        }

        var output = new double[h.Length][];
        for (int t = 0; t < h.Length; t++)
        {
            output[t] = new double[config.QuerySize];
            for (int head = 0; head < config.Heads; head++)
            {
                int from = head / group * size;
                var scores = new double[t + 1];
                for (int s = 0; s <= t; s++)
                {
                    for (int i = 0; i < size; i++)
                        scores[s] += q[t][(head * size) + i] * k[s][from + i] / Math.Sqrt(size);
                }

                double top = scores.Max();
                double sum = scores.Sum(s => Math.Exp(s - top));
                for (int s = 0; s <= t; s++)
                {
                    for (int i = 0; i < size; i++)
                        output[t][(head * size) + i] += Math.Exp(scores[s] - top) / sum * v[s][from + i];
                }
            }
        }

        return Linear(output, $"{name}.o_proj");
    }

    /// <summary>rotate_half: pairs are (i, i + d/2).</summary>
    private void Rotate(Span<double> head, int position)
    {
        int half = head.Length / 2;
        for (int i = 0; i < half; i++)
        {
            double angle = position * Math.Pow(config.RopeTheta, -2.0 * i / head.Length);
            (double a, double b) = (head[i], head[i + half]);
            head[i] = (a * Math.Cos(angle)) - (b * Math.Sin(angle));
            head[i + half] = (b * Math.Cos(angle)) + (a * Math.Sin(angle));
        }
    }

    private double[][] Norm(double[][] x, string weight) => [.. x.Select(row =>
    {
        double scale = 1 / Math.Sqrt((row.Sum(v => v * v) / row.Length) + config.RmsNormEpsilon);
        return row.Zip(Read(weight), (v, w) => v * scale * w).ToArray();
    })];

    private double[][] Linear(double[][] x, string name, bool bias = false)
    {
        double[][] y = Product(x, Read($"{name}.weight"));
        if (bias)
            y = [.. y.Select(row => row.Zip(Read($"{name}.bias"), (v, b) => v + b).ToArray())];
        if (adapter?.Linears.TryGetValue(name, out LoraLinear? lora) == true)
            y = Add(y, [.. Product(Product(x, Widened(lora.A)), Widened(lora.B)).Select((row, t) => row.Select(v => t < adapterStart ? 0 : v * adapter.Alpha / adapter.Rank).ToArray())]);
        return y;
    }

    private static double[][] Product(double[][] x, double[] weight) => [.. x.Select(row =>
    {
        var result = new double[weight.Length / row.Length];
        for (int i = 0; i < result.Length; i++)
        {
            for (int j = 0; j < row.Length; j++)
                result[i] += row[j] * weight[(i * row.Length) + j];
        }

        return result;
    })];

    private static double[][] Add(double[][] a, double[][] b) => [.. a.Zip(b, (x, y) => x.Zip(y, (u, v) => u + v).ToArray())];

    private static double[] Widened(float[] values) => Array.ConvertAll(values, v => (double)v);

    private double[] Read(string name)
    {
        if (!cache.TryGetValue(name, out double[]? values))
            cache.Add(name, values = read(name));
        return values;
    }
}
