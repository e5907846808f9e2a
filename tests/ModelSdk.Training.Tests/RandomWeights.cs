using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Training.Tests;

/// <summary>Weights large enough that every part of the network matters, the same at each call.</summary>
internal static class RandomWeights
{
    public static Dictionary<string, float[]> Of(TransformerConfig config, int seed = 5)
    {
        var random = new Random(seed);
        var weights = new Dictionary<string, float[]>();
        float[] Draw(int count, double deviation, double mean = 0) =>
            [.. Enumerable.Range(0, count).Select(_ => (float)(mean + (deviation * ((random.NextDouble() * 2) - 1) * 1.7)))];

        int d = config.HiddenSize, f = config.IntermediateSize, q = config.QuerySize, kv = config.KeyValueSize;
        weights["model.embed_tokens.weight"] = Draw(config.VocabularySize * d, 0.7);
        weights["lm_head.weight"] = Draw(config.VocabularySize * d, 0.3);
        weights["model.norm.weight"] = Draw(d, 0.3, 1);
        for (var i = 0; i < config.Layers; i++)
        {
            var name = $"model.layers.{i}.";
            weights[name + "input_layernorm.weight"] = Draw(d, 0.3, 1);
            weights[name + "post_attention_layernorm.weight"] = Draw(d, 0.3, 1);
            foreach (var (part, rows, columns) in ((string, int, int)[])[("self_attn.q_proj", q, d), ("self_attn.k_proj", kv, d), ("self_attn.v_proj", kv, d), ("self_attn.o_proj", d, q), ("mlp.gate_proj", f, d), ("mlp.up_proj", f, d), ("mlp.down_proj", d, f)])
            {
                weights[name + part + ".weight"] = Draw(rows * columns, 1 / Math.Sqrt(columns));
                weights[name + part + ".bias"] = Draw(rows, 0.5);
            }
        }

        return weights;
    }

    public static LoraAdapter Adapter(TransformerConfig config, int rank = 3, params string[] targets)
    {
        var random = new Random(11);
        int d = config.HiddenSize, f = config.IntermediateSize, q = config.QuerySize, kv = config.KeyValueSize;
        var linears = new Dictionary<string, LoraLinear>();
        float[] Draw(int count, double deviation) => [.. Enumerable.Range(0, count).Select(_ => (float)(deviation * ((random.NextDouble() * 2) - 1)))];
        for (var i = 0; i < config.Layers; i++)
        {
            foreach (var (part, rows, columns) in ((string, int, int)[])[("self_attn.q_proj", q, d), ("self_attn.k_proj", kv, d), ("self_attn.v_proj", kv, d), ("self_attn.o_proj", d, q), ("mlp.gate_proj", f, d), ("mlp.up_proj", f, d), ("mlp.down_proj", d, f)])
            {
                if (targets.Length == 0 || targets.Contains(part[(part.IndexOf('.') + 1)..]))
                {
                    var name = $"model.layers.{i}.{part}";
                    linears[name] = new LoraLinear(name, columns, rows, Draw(rank * columns, 0.4), Draw(rows * rank, 0.4));
                }
            }
        }

        return new LoraAdapter { Rank = rank, Alpha = 2 * rank, Linears = linears };
    }

    public static int[] Tokens(TransformerConfig config, int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(config.VocabularySize))];
    }

    public static AdapterSettings Settings(int rank = 3, params string[] targets) => new()
    {
        Name = "test",
        Rank = rank,
        Alpha = 2 * rank,
        Targets = targets.Length == 0 ? AdapterSettings.AllTargets : new EquatableArray<string>(targets),
    };
}
