using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Synthetic;

/// <summary>
/// Random weights whose statistics make quantization as hard as that of a trained model: scales differ by row and column, a few channels of
/// the residual stream and of the feed-forward network carry values many times larger than the others, and the biases of k are large in
/// the slowest rotary pairs, in the first and the last layer most, as in Qwen2.5. Every element is a function of seed, tensor and
/// position alone, so the bytes do not depend on the order or the threads that ask for them. Thread-safe.
/// </summary>
internal sealed class SyntheticWeights
{
    /// <summary>One channel in so many of the residual stream is an outlier.</summary>
    private const int OutlierEvery = 128;

    /// <summary>How much larger outlier channels are.</summary>
    private const float Outlier = 8;

    /// <summary>Spread (standard deviation of the logarithm) of the scales of rows and columns.</summary>
    private const float Spread = 0.25f;

    private const ulong Golden = 0x9E3779B97F4A7C15;

    private readonly TransformerConfig _config;
    private readonly ulong _seed;
    private readonly bool[] _residual;
    private readonly Dictionary<string, Tensor> _tensors = new(StringComparer.Ordinal);

    public SyntheticWeights(TransformerConfig config, int seed)
    {
        _config = config;
        _seed = Mix((ulong)seed + Golden);
        _residual = Chosen("residual", config.HiddenSize, Math.Max(1, config.HiddenSize / OutlierEvery));
        foreach ((string name, long[] shape) in Qwen2Tensors.Of(config))
            _tensors.Add(name, Describe(name, shape));
    }

    /// <summary>A run of a tensor's elements, row-major, from element <paramref name="start"/> on.</summary>
    public void Fill(string name, long start, Span<float> values)
    {
        Tensor tensor = _tensors[name];
        float[] normal = NormalTable.Quantiles;
        int columns = tensor.Columns.Length;
        int row = (int)(start / columns);
        int column = (int)(start % columns);
        for (int i = 0; i < values.Length; i++)
        {
            long at = start + i;
            ulong four = Mix(tensor.Key + ((ulong)(at >> 2) * Golden));
            values[i] = tensor.Mean + (normal[(ushort)(four >> (int)(16 * (at & 3)))] * tensor.Rows[row] * tensor.Columns[column]);
            if (++column == columns)
                (row, column) = (row + 1, 0);
        }
    }

    private Tensor Describe(string name, long[] shape)
    {
        int rows = (int)shape[0];
        ulong key = Key(name);
        if (shape.Length == 1)
            return name.EndsWith(".bias", StringComparison.Ordinal) ? Bias(name, rows, key) : Gain(name, rows, key);

        int columns = (int)shape[1];
        string module = name[(name.LastIndexOf('.', name.Length - ".weight".Length - 1) + 1)..^".weight".Length];
        // Products keep the size of what they read; what is added to the residual stream is half as large, embeddings are about 0.02.
        float size = module switch
        {
            "embed_tokens" or "lm_head" => 0.02f,
            "o_proj" or "down_proj" => 0.5f / MathF.Sqrt(columns),
            _ => 0.8f / MathF.Sqrt(columns),
        };
        float[] rowScales = Scales(name + "/rows", rows, size);
        float[] columnScales = Scales(name + "/columns", columns, 1);
        switch (module)
        {
            case "embed_tokens":
                Multiply(columnScales, _residual, Outlier);
                break;
            case "lm_head":
                Multiply(columnScales, _residual, 1 / Outlier);
                break;
            case "o_proj":
                Multiply(rowScales, _residual, Outlier);
                break;
            case "down_proj":
                Multiply(rowScales, _residual, Outlier);
                Multiply(columnScales, Massive(name), 0.5f);
                break;
            case "gate_proj" or "up_proj":
                Multiply(rowScales, Massive(name), Outlier / 2);
                Multiply(columnScales, _residual, 0.5f);
                break;
            default:
                Multiply(columnScales, _residual, 0.5f);
                break;
        }

        return new Tensor(key, 0, rowScales, columnScales);
    }

    /// <summary>Gains of a norm: about 1 (3 before the head, so that logits are some units wide), with one large gain in each block of channels.</summary>
    private Tensor Gain(string name, int width, ulong key)
    {
        float mean = name == "model.norm.weight" ? 3 : 1;
        float[] rows = new float[width];
        Array.Fill(rows, 0.2f * mean);
        Multiply(rows, Chosen(name + "/gains", width, Math.Max(1, width / OutlierEvery)), Outlier);
        return new Tensor(key, mean, rows, [1]);
    }

    /// <summary>Biases of q and v are small; those of k reach 30, in the first and last layer 100, in the two slowest rotary pairs of each head, where they shift all scores alike.</summary>
    private Tensor Bias(string name, int width, ulong key)
    {
        var rows = new float[width];
        Array.Fill(rows, name.Contains(".v_proj.", StringComparison.Ordinal) ? 0.05f : 0.5f);
        if (name.Contains(".k_proj.", StringComparison.Ordinal))
        {
            int half = _config.HeadSize / 2;
            bool end = name.StartsWith("model.layers.0.", StringComparison.Ordinal) || name.StartsWith($"model.layers.{_config.Layers - 1}.", StringComparison.Ordinal);
            for (int i = 0; i < width; i++)
            {
                if (i % half >= half - 2)
                    rows[i] = end ? 50 : 15;
            }
        }

        return new Tensor(key, 0, rows, [1]);
    }

    /// <summary>Channels of a layer's feed-forward network whose values are large: the same for the gate, the linear beside it and the one after it.</summary>
    private bool[] Massive(string name) =>
        Chosen(name[..name.IndexOf(".mlp.", StringComparison.Ordinal)] + "/massive", _config.IntermediateSize, Math.Max(1, _config.IntermediateSize / (4 * OutlierEvery)));

    private float[] Scales(string what, int count, float size)
    {
        ulong key = Key(what);
        return [.. Enumerable.Range(0, count).Select(i => size * MathF.Exp(Spread * NormalTable.Quantiles[(ushort)Mix(key + ((ulong)i * Golden))]))];
    }

    private bool[] Chosen(string what, int width, int count)
    {
        ulong key = Key(what);
        var chosen = new bool[width];
        for (int i = 0; i < count; i++)
            chosen[Mix(key + ((ulong)i * Golden)) % (ulong)width] = true;
        return chosen;
    }

    private static void Multiply(float[] scales, bool[] where, float factor)
    {
        for (int i = 0; i < scales.Length; i++)
        {
            if (where[i])
                scales[i] *= factor;
        }
    }

    private ulong Key(string text)
    {
        ulong hash = _seed;
        foreach (char c in text)
            hash = Mix(hash ^ c);
        return hash;
    }

    /// <summary>The output function of SplitMix64: a bijection whose bits look independent (Steele, Lea and Flood, 2014).</summary>
    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>Element [r, c] is mean + normal * rows[r] * columns[c].</summary>
    private sealed record Tensor(ulong Key, float Mean, float[] Rows, float[] Columns);
}
