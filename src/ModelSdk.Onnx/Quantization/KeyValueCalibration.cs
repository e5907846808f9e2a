using System.Runtime.InteropServices;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Export;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Quantization;

/// <summary>
/// Chooses the scales of a quantized cache (paper, section 6) from what the quantized base computes on sequences of tokens. Values: the greatest of each channel. Keys are
/// stored behind the rotation, which turns the two channels of a pair into each other with the position: both get the pair's greatest length, which holds at any position.
/// </summary>
/// <remarks>
/// The sequences are tokens drawn evenly from the vocabulary, so that the scales depend on the base alone and no adapter's data changes what another one is trained on. In 8 bits
/// the range is twice what was seen: adapters and real texts exceed it (up to 1.9 times for keys and 3.2 times for values on the sample), and clipping costs far more than
/// coarser steps. In 4 bits coarser steps cost more.
/// </remarks>
public static class KeyValueCalibration
{
    private const int ChunkTokens = 256;
    private const int Sequences = 8;
    private const int SequenceTokens = 256;
    private const double Int8Margin = 2;

    /// <summary>Sequences to calibrate with, the same at every run.</summary>
    /// <param name="model">The base.</param>
    public static IReadOnlyList<int[]> Tokens(QuantizedModel model)
    {
        var random = new Random(1);
        int length = Math.Min(SequenceTokens, model.Positions);
        return [.. Enumerable.Range(0, Sequences).Select(_ => Enumerable.Range(0, length).Select(_ => random.Next(model.Architecture.VocabularySize)).ToArray())];
    }

    /// <summary>Runs the base in full precision of keys and values, and chooses scales.</summary>
    /// <param name="model">The quantized base, without scales; the graph that is run is written into its folder and removed.</param>
    /// <param name="format">The format; not <see cref="CacheFormat.None"/>.</param>
    /// <param name="sequences">Token sequences, e.g. <see cref="Tokens"/>.</param>
    /// <param name="progress">Receives the share of sequences done, 0 to 1.</param>
    /// <param name="cancellationToken">Checked between passes.</param>
    /// <exception cref="ExportException">MDL4070: the base computes NaN or infinity; names the layer.</exception>
    public static KeyValueScales Run(QuantizedModel model, CacheFormat format, IReadOnlyList<int[]> sequences, IProgress<double>? progress = null, CancellationToken cancellationToken = default)
    {
        if (model.Cache is not null)
            throw new ArgumentException("The model has scales already.", nameof(model));
        TransformerConfig config = model.Architecture;
        string graph = Path.Combine(model.Folder, $"calibrate-{Guid.NewGuid():N}.onnx");
        float[][] greatest = [.. Enumerable.Range(0, config.Layers * 2).Select(_ => new float[config.KeyValueSize])];
        try
        {
            int context = Math.Min(model.Positions, sequences.Max(s => s.Length));
            TransformerGraph.Build(model, new GraphOptions { Context = context }, "calibrate", QuantizedModel.WeightsFileName, new GraphParts()).Write(graph, GraphExporter.ProducerVersion);
            using var weights = new MappedWeights(model);
            using var runner = new GraphRunner(graph, config, weights, plain: true);
            using KeyValueCache cache = runner.NewCache(1, context);
            for (int i = 0; i < sequences.Count; i++)
            {
                int length = Math.Min(sequences[i].Length, context);
                for (int start = 0; start < length; start += ChunkTokens)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    int end = Math.Min(start + ChunkTokens, length);
                    runner.Run(sequences[i].AsSpan(start, end - start), [end], [], cache);
                }

                Measure(config, cache, length, greatest);
                progress?.Report((i + 1.0) / sequences.Count);
            }
        }
        finally
        {
            File.Delete(graph);
        }

        double step = format == CacheFormat.Int4 ? 1.0 / 7 : Int8Margin / sbyte.MaxValue;
        return new KeyValueScales(format, [.. Enumerable.Range(0, config.Layers).Select(layer => new LayerScales(Scales(greatest[2 * layer]), Scales(greatest[(2 * layer) + 1])))]);

        // A channel that was always zero takes the range of its neighbours: an adapter may use it.
        float[] Scales(float[] range)
        {
            float most = range.Max() is > 0 and float r ? r : 1;
            return [.. range.Select(v => (float)((v > 0 ? v : most) * step))];
        }
    }

    private static void Measure(TransformerConfig config, KeyValueCache cache, int tokens, float[][] greatest)
    {
        int size = config.HeadSize;
        int half = size / 2;
        for (int slab = 0; slab < greatest.Length; slab++)
        {
            for (int head = 0; head < config.KeyValueHeads; head++)
            {
                ReadOnlySpan<float> rows = MemoryMarshal.Cast<byte, float>(cache.Memory.Read(slab, 0, head, tokens));
                int bad = rows.IndexOfAnyExceptInRange(float.MinValue, float.MaxValue);
                if (bad >= 0)
                    throw new ExportException(DiagnosticCodes.CacheRangeInvalid, $"The {(slab % 2 == 0 ? "keys" : "values")} of layer {slab / 2} hold {rows[bad]} (head {head}, channel {bad % size}). The checkpoint is damaged, or its activations overflow.");
                Span<float> range = greatest[slab].AsSpan(head * size, size);
                for (int token = 0; token < tokens; token++)
                {
                    ReadOnlySpan<float> row = rows.Slice(token * size, size);
                    if (slab % 2 == 0)
                    {
                        for (int d = 0; d < half; d++)
                            range[d] = range[d + half] = MathF.Max(range[d], MathF.Sqrt((row[d] * row[d]) + (row[d + half] * row[d + half])));
                    }
                    else
                    {
                        for (int d = 0; d < size; d++)
                            range[d] = MathF.Max(range[d], MathF.Abs(row[d]));
                    }
                }
            }
        }
    }
}
