using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Support;

/// <summary>Small Qwen2 models of random weights.</summary>
internal static class TinyModel
{
    public static readonly string[] Modules =
    [
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
    ];

    public static TransformerConfig Config(bool tied = true, int hidden = 64, int intermediate = 160, int layers = 2, int heads = 4, int keyValueHeads = 2, int vocabulary = 96, int positions = 64)
        => new("qwen2", vocabulary, hidden, intermediate, layers, heads, keyValueHeads, hidden / heads, positions, 10000, 1e-6, tied);

    /// <summary>Writes a checkpoint of normally distributed weights whose activations stay of order one.</summary>
    public static Checkpoint Write(string folder, TransformerConfig config, int seed = 1, Action<string, float[]>? change = null)
    {
        var random = new Random(seed);
        Dictionary<string, long[]> shapes = Qwen2Tensors.Of(config).ToDictionary(t => t.Name, t => t.Shape);
        CheckpointWriter.Write(folder, config, name =>
        {
            long[] shape = shapes[name];
            var values = new float[shape.Aggregate(1L, (a, b) => a * b)];
            double spread = shape.Length == 1 ? 0.2 : name == Qwen2Tensors.Embedding ? 0.5 : 1.2 / Math.Sqrt(shape[1]);
            double mean = name.EndsWith("norm.weight", StringComparison.Ordinal) ? 1 : 0;
            for (int i = 0; i < values.Length; i++)
                values[i] = (float)(mean + (spread * Normal(random)));
            change?.Invoke(name, values);
            return values;
        }, TensorDType.F32);
        return Checkpoint.Open(folder);
    }

    public static LoraAdapter Adapter(TransformerConfig config, int rank, double alpha, IEnumerable<string>? modules = null, double size = 0.5, int seed = 2)
    {
        var random = new Random(seed);
        Dictionary<string, long[]> shapes = Qwen2Tensors.Of(config).ToDictionary(t => t.Name, t => t.Shape);
        var linears = new Dictionary<string, LoraLinear>();
        for (int layer = 0; layer < config.Layers; layer++)
        {
            foreach (string module in modules ?? Modules)
            {
                string name = $"model.layers.{layer}.{module}";
                (int rows, int columns) = ((int)shapes[name + ".weight"][0], (int)shapes[name + ".weight"][1]);
                linears.Add(name, new LoraLinear(name, columns, rows, Random(rank * columns, 1 / Math.Sqrt(columns)), Random(rows * rank, size / Math.Sqrt(rank))));
            }
        }

        return new LoraAdapter { Rank = rank, Alpha = alpha, Linears = linears, InvocationTokens = [7, 8] };

        float[] Random(int count, double spread) => [.. Enumerable.Range(0, count).Select(_ => (float)(spread * Normal(random)))];
    }

    public static int[] Tokens(TransformerConfig config, int count, int seed = 3)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(config.VocabularySize))];
    }

    public static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
