using ModelSdk.Onnx.Adapters;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Training.Tests;

/// <summary>Qwen2 written plainly over double arrays, one token and one head at a time: what the Torch code is compared with.</summary>
internal sealed class ReferenceTransformer(TransformerConfig config, Func<string, double[]> read, LoraAdapter? adapter = null)
{
    private readonly Dictionary<string, double[]> _cache = [];

    /// <summary>Lets a test nudge a LoRA weight: module, 'A' or 'B', index, amount.</summary>
    public (string Module, char Matrix, int Index, double By)? Nudge { get; set; }

    /// <summary>Gets the module, the input and the output without bias of every linear, token by token.</summary>
    public Action<string, double[], double[]>? Seen { get; set; }

    /// <summary>Logits of each token [T][V]; the adapter is on from token <paramref name="adapterFrom"/>.</summary>
    public double[][] Logits(IReadOnlyList<int> tokens, int adapterFrom = 0)
    {
        int d = config.HiddenSize, h = config.HeadSize, heads = config.Heads, kv = config.KeyValueHeads;
        var x = tokens.Select(t => Get("model.embed_tokens.weight")[(t * d)..((t + 1) * d)]).ToArray();
        for (var layer = 0; layer < config.Layers; layer++)
        {
            var name = $"model.layers.{layer}.";
            var keys = new List<double[]>();
            var values = new List<double[]>();
            for (var t = 0; t < tokens.Count; t++)
            {
                var on = t >= adapterFrom;
                var input = Norm(x[t], Get(name + "input_layernorm.weight"));
                var query = Linear(name + "self_attn.q_proj", input, on);
                keys.Add(Linear(name + "self_attn.k_proj", input, on));
                values.Add(Linear(name + "self_attn.v_proj", input, on));
                for (var head = 0; head < heads; head++)
                {
                    Rotate(query.AsSpan(head * h, h), t);
                }

                for (var head = 0; head < kv; head++)
                {
                    Rotate(keys[t].AsSpan(head * h, h), t);
                }

                var mixed = new double[heads * h];
                for (var head = 0; head < heads; head++)
                {
                    var at = head / (heads / kv) * h;
                    var scores = Enumerable.Range(0, t + 1).Select(s => Enumerable.Range(0, h).Sum(i => query[(head * h) + i] * keys[s][at + i]) / Math.Sqrt(h)).ToArray();
                    var highest = scores.Max();
                    var total = scores.Sum(s => Math.Exp(s - highest));
                    for (var s = 0; s <= t; s++)
                    {
                        var weight = Math.Exp(scores[s] - highest) / total;
                        for (var i = 0; i < h; i++)
                        {
                            mixed[(head * h) + i] += weight * values[s][at + i];
                        }
                    }
                }

                x[t] = Add(x[t], Linear(name + "self_attn.o_proj", mixed, on));
                var feed = Norm(x[t], Get(name + "post_attention_layernorm.weight"));
                var gate = Linear(name + "mlp.gate_proj", feed, on);
                var up = Linear(name + "mlp.up_proj", feed, on);
                x[t] = Add(x[t], Linear(name + "mlp.down_proj", [.. gate.Select((g, i) => g / (1 + Math.Exp(-g)) * up[i])], on));
            }
        }

        var head2 = Get(config.TiedEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight");
        return [.. x.Select(v => Multiply(head2, Norm(v, Get("model.norm.weight"))))];
    }

    /// <summary>Mean cross entropy of tokens <paramref name="lossFrom"/> and later.</summary>
    public double Loss(IReadOnlyList<int> tokens, int adapterFrom, int lossFrom)
    {
        var logits = Logits([.. tokens.SkipLast(1)], adapterFrom);
        return Enumerable.Range(lossFrom, tokens.Count - lossFrom).Average(t =>
        {
            var row = logits[t - 1];
            var highest = row.Max();
            return highest + Math.Log(row.Sum(l => Math.Exp(l - highest))) - row[tokens[t]];
        });
    }

    private double[] Linear(string module, double[] x, bool adapted)
    {
        var y = Multiply(Get(module + ".weight"), x);
        Seen?.Invoke(module, x, y);
        if (module.Contains("_proj", StringComparison.Ordinal) && module[^6] is 'q' or 'k' or 'v' && module.Contains("self_attn", StringComparison.Ordinal))
        {
            y = Add(y, Get(module + ".bias"));
        }

        if (adapted && adapter is not null && adapter.Linears.TryGetValue(module, out var lora))
        {
            var inner = Multiply(Matrix(lora, 'A'), x);
            y = Add(y, [.. Multiply(Matrix(lora, 'B'), inner).Select(v => v * adapter.Scale)]);
        }

        return y;
    }

    private double[] Matrix(LoraLinear lora, char which)
    {
        var values = (which == 'A' ? lora.A : lora.B).Select(v => (double)v).ToArray();
        if (Nudge is { } nudge && nudge.Module == lora.Name && nudge.Matrix == which)
        {
            values[nudge.Index] += nudge.By;
        }

        return values;
    }

    private double[] Get(string name)
    {
        if (!_cache.TryGetValue(name, out var values))
        {
            _cache[name] = values = read(name);
        }

        return values;
    }

    private void Rotate(Span<double> head, int position)
    {
        var half = head.Length / 2;
        for (var p = 0; p < half; p++)
        {
            var angle = position / Math.Pow(config.RopeTheta, 2.0 * p / head.Length);
            (head[p], head[p + half]) = ((head[p] * Math.Cos(angle)) - (head[p + half] * Math.Sin(angle)), (head[p + half] * Math.Cos(angle)) + (head[p] * Math.Sin(angle)));
        }
    }

    private double[] Norm(double[] x, double[] gain)
    {
        var scale = 1 / Math.Sqrt(x.Average(v => v * v) + config.RmsNormEpsilon);
        return [.. x.Select((v, i) => v * scale * gain[i])];
    }

    private static double[] Add(double[] a, double[] b) => [.. a.Select((v, i) => v + b[i])];

    private static double[] Multiply(double[] matrix, double[] x)
    {
        var y = new double[matrix.Length / x.Length];
        for (var row = 0; row < y.Length; row++)
        {
            for (var i = 0; i < x.Length; i++)
            {
                y[row] += matrix[(row * x.Length) + i] * x[i];
            }
        }

        return y;
    }
}
