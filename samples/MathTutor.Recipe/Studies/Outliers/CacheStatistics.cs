using ModelSdk.Manifest;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Training;

namespace MathTutor.Recipe.Studies.Outliers;

/// <summary>Keys and values of calibration texts.</summary>
internal sealed class CacheStatistics
{
    private readonly TransformerConfig _config;
    private readonly float[][][] _slabs;               // [2 L][texts][KVH * T * h]

    /// <summary>Runs the texts.</summary>
    /// <param name="model">Frozen base.</param>
    /// <param name="texts">Tokens of each.</param>
    public CacheStatistics(Transformer model, IReadOnlyList<int[]> texts)
    {
        _config = model.Config;
        IReadOnlyList<float[]>[] held = [.. texts.Select(model.KeysAndValues)];
        _slabs = [.. Enumerable.Range(0, 2 * _config.Layers).Select(slab => held.Select(h => h[slab]).ToArray())];
    }

    /// <summary>Greatest length of each rotary pair of keys, [KVH, h/2].</summary>
    public double[] KeyPairMaxima(int layer)
    {
        int size = _config.HeadSize, half = size / 2;
        var maxima = new double[_config.KeyValueSize / 2];
        ForEachToken(2 * layer, (head, token) =>
        {
            for (int p = 0; p < half; p++)
            {
                maxima[(head * half) + p] = Math.Max(maxima[(head * half) + p], Math.Sqrt((token[p] * token[p]) + (token[p + half] * token[p + half])));
            }
        });
        return maxima;
    }

    /// <summary>Root mean square of each value channel, [KVH h].</summary>
    public double[] ValueRms(int layer)
    {
        var sums = new double[_config.KeyValueSize];
        int tokens = 0;
        ForEachToken((2 * layer) + 1, (head, token) =>
        {
            tokens += head == 0 ? 1 : 0;
            for (int i = 0; i < token.Length; i++)
            {
                sums[(head * token.Length) + i] += (double)token[i] * token[i];
            }
        });
        return [.. sums.Select(s => Math.Sqrt(s / tokens))];
    }

    /// <summary>Scales of an int8 cache with one for all keys of a layer and one for all its values.</summary>
    /// <param name="range">How they are chosen.</param>
    public KeyValueScales Scales(RangeSetting range) => new(CacheFormat.Int8, [.. Enumerable.Range(0, _config.Layers).Select(layer => new LayerScales(Same(2 * layer, range), Same((2 * layer) + 1, range)))]);

    private float[] Same(int slab, RangeSetting range)
    {
        var scales = new float[_config.KeyValueSize];
        Array.Fill(scales, (float)ChannelRounding.Scale([.. _slabs[slab].SelectMany(t => t)], 8, range));
        return scales;
    }

    private void ForEachToken(int slab, Action<int, float[]> action)
    {
        int size = _config.HeadSize;
        foreach (float[] text in _slabs[slab])
        {
            int length = text.Length / _config.KeyValueSize;
            for (int row = 0; row < text.Length / size; row++)
            {
                action(row / length, text[(row * size)..((row + 1) * size)]);
            }
        }
    }
}
