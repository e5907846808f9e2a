using System.Runtime.InteropServices;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Graphs;

/// <summary>
/// An adapter's constants as its graph uses them: for each fused linear one A (the modules' A on top of each other) and
/// the modules' B, times alpha / r. INT8 with a scale per row and block (paper, section 6), zeros for modules that the adapter
/// does not change; float32 over a base of weights "none", with one B (the modules' B as blocks on the diagonal).
/// </summary>
internal sealed class AdapterTensors
{
    /// <summary>Ranks are padded with zeros to a multiple of this: the smallest block of MatMulNBits.</summary>
    private const int RankUnit = 16;

    private const int Alignment = 64;

    private readonly Dictionary<string, AdapterLinear> _linears = new(StringComparer.Ordinal);

    private readonly FileStream _file;
    private readonly string _location;

    private AdapterTensors(FileStream file, string location)
    {
        _file = file;
        _location = location;
    }

    /// <summary>The constants of a fused linear, by its name ("model.layers.0.self_attn.qkv_proj"), or null.</summary>
    public AdapterLinear? Find(string fused) => _linears.GetValueOrDefault(fused);

    /// <summary>Writes the adapter's weight file.</summary>
    /// <exception cref="ExportException">MDL4012: the adapter does not fit the model; MDL4002: it holds NaN or infinity.</exception>
    /// <param name="model">Base weights.</param>
    /// <param name="adapter">The adapter in full precision.</param>
    /// <param name="folder">The graph's folder.</param>
    /// <param name="location">The file relative to <paramref name="folder"/>.</param>
    public static AdapterTensors Write(QuantizedModel model, LoraAdapter adapter, string folder, string location)
    {
        CheckFits(model, adapter);
        using FileStream file = File.Create(Path.Combine(folder, location));
        var result = new AdapterTensors(file, location);
        for (int layer = 0; layer < model.Architecture.Layers; layer++)
        {
            foreach ((string fused, string[] modules) in TensorNames.Linears)
            {
                string name = TensorNames.Layer(layer, fused);
                string[] parts = [.. modules.Select(m => TensorNames.Layer(layer, m))];
                if (parts.Any(adapter.Linears.ContainsKey))
                    result._linears.Add(name, result.Write(model, adapter, name, parts));
            }
        }

        return result;
    }

    private AdapterLinear Write(QuantizedModel model, LoraAdapter adapter, string name, string[] parts)
    {
        bool exact = model.Options.Weights == WeightFormat.None;
        int rank = adapter.Rank;
        int padded = exact ? rank : (rank + RankUnit - 1) / RankUnit * RankUnit;
        QuantizedWeight[] bases = [.. parts.Select(p => model.Weight(p + ".weight"))];
        LoraLinear?[] loras = [.. parts.Select(adapter.Linears.GetValueOrDefault)];
        int columns = bases[0].Columns;

        var a = new float[parts.Length * padded * columns];       // [modules * padded, columns]
        for (int i = 0; i < parts.Length; i++)
            loras[i]?.A.CopyTo(a, i * padded * columns);
        MatrixTensor first = Write($"{name}.lora_A.weight", a, parts.Length * padded, columns, exact, BlockOf(columns));

        // [rows, padded] of each module, or of all of them as blocks on the diagonal of [all rows, modules * padded].
        int groups = exact ? 1 : parts.Length;
        var seconds = new MatrixTensor[groups];
        for (int group = 0; group < groups; group++)
        {
            Range modules = exact ? .. : group..(group + 1);
            int width = exact ? parts.Length * padded : padded;
            int rows = bases[modules].Sum(b => b.Rows);
            var b = new float[rows * width];
            int at = 0;
            foreach ((int i, QuantizedWeight weight) in bases[modules].Index())
            {
                if (loras[modules][i] is not { } lora)
                {
                    at += weight.Rows * width;
                    continue;
                }

                for (int row = 0; row < weight.Rows; row++, at += width)
                {
                    for (int r = 0; r < rank; r++)
                        b[at + (i * padded) + r] = (float)(lora.B[(row * rank) + r] * adapter.Scale);
                }
            }

            seconds[group] = Write($"{(exact ? name : parts[group])}.lora_B.weight", b, rows, width, exact, BlockOf(padded));
        }

        return new AdapterLinear(first, seconds);
    }

    /// <summary>The adapter that the written constants amount to: INT8 values dequantized, alpha / r folded into B.</summary>
    public static LoraAdapter Round(QuantizedModel model, LoraAdapter adapter)
    {
        CheckFits(model, adapter);
        int padded = (adapter.Rank + RankUnit - 1) / RankUnit * RankUnit;
        return adapter with
        {
            Alpha = adapter.Rank,
            Linears = adapter.Linears.ToDictionary(
                l => l.Key,
                l => l.Value with { A = RoundA(l.Value), B = RoundB(l.Value) },
                StringComparer.Ordinal),
        };

        float[] RoundA(LoraLinear lora) => model.Options.Weights == WeightFormat.None ? lora.A : Int8(lora.Name, lora.A, lora.InFeatures, BlockOf(lora.InFeatures));

        float[] RoundB(LoraLinear lora)
        {
            bool exact = model.Options.Weights == WeightFormat.None;
            int width = exact ? adapter.Rank : padded;
            float[] b = Spread(lora.B, lora.OutFeatures, adapter.Rank, width, adapter.Scale);
            return exact ? b : Spread(Int8(lora.Name, b, padded, BlockOf(padded)), lora.OutFeatures, padded, adapter.Rank, 1);
        }

        static float[] Int8(string name, float[] values, int columns, int block)
        {
            var data = new byte[values.Length];
            var scales = new float[values.Length / block];
            BlockQuantizer.Quantize(name, values, columns, 8, block, data, scales);
            var rounded = new float[values.Length];
            BlockQuantizer.Dequantize(data, scales, columns, 8, block, rounded);
            return rounded;
        }

        // [rows, from] times a factor, cut or padded with zeros to [rows, to].
        static float[] Spread(float[] values, int rows, int from, int to, double factor)
        {
            var result = new float[rows * to];
            for (int row = 0; row < rows; row++)
            {
                for (int i = 0; i < Math.Min(from, to); i++)
                    result[(row * to) + i] = (float)(values[(row * from) + i] * factor);
            }

            return result;
        }
    }

    /// <summary>The greatest block that divides a width: fewest scales, and no block spans two modules.</summary>
    private static int BlockOf(int columns)
    {
        int block = 256;
        while (block > RankUnit && columns % block != 0)
            block /= 2;
        return block;
    }

    private MatrixTensor Write(string name, float[] values, int rows, int columns, bool exact, int block)
    {
        if (exact)
            return new MatrixTensor(Append(name, "float32", [rows, columns], MemoryMarshal.AsBytes(values.AsSpan())), null, _location, rows, columns, WeightFormat.None, block);
        var data = new byte[BlockQuantizer.DataBytes(rows, columns, 8)];
        var scales = new float[rows * (columns / block)];
        BlockQuantizer.Quantize(name, values, columns, 8, block, data, scales);
        return new MatrixTensor(
            Append(name, "uint8", [rows, columns / block, block], data),
            Append(TensorNames.Scales(name), "float32", [rows, columns / block], MemoryMarshal.AsBytes(scales.AsSpan())),
            _location, rows, columns, WeightFormat.Int8, block);
    }

    private BundleTensor Append(string name, string type, long[] dims, ReadOnlySpan<byte> bytes)
    {
        _file.Write(stackalloc byte[(int)((Alignment - (_file.Position % Alignment)) % Alignment)]);
        long start = _file.Position;
        _file.Write(bytes);
        return new BundleTensor(name, type, dims, start, bytes.Length);
    }

    private static void CheckFits(QuantizedModel model, LoraAdapter adapter)
    {
        if (adapter.Linears.Count == 0)
            throw new ExportException(DiagnosticCodes.AdapterInvalid, "The adapter changes no linear. Train it with at least one target.");
        foreach (LoraLinear lora in adapter.Linears.Values)
        {
            if (!model.Contains(lora.Name + ".weight") || !TensorNames.Linears.Any(l => l.Modules.Any(m => lora.Name.EndsWith("." + m, StringComparison.Ordinal))))
                throw new ExportException(DiagnosticCodes.AdapterDoesNotFit, $"The adapter changes {lora.Name}, which is no linear of this base. Use the adapter with the base that it was trained on.");
            QuantizedWeight weight = model.Weight(lora.Name + ".weight");
            if (lora.InFeatures != weight.Columns || lora.OutFeatures != weight.Rows)
                throw new ExportException(DiagnosticCodes.AdapterDoesNotFit, $"The adapter's {lora.Name} is [{lora.OutFeatures}, {lora.InFeatures}], the base's is [{weight.Rows}, {weight.Columns}]. Use the adapter with the base that it was trained on.");
            if (lora.A.Length != (long)adapter.Rank * lora.InFeatures || lora.B.Length != (long)adapter.Rank * lora.OutFeatures)
                throw new ExportException(DiagnosticCodes.AdapterDoesNotFit, $"The adapter's {lora.Name} holds {lora.A.Length} and {lora.B.Length} values, which are not those of rank {adapter.Rank}.");
            foreach (float[] values in (float[][])[lora.A, lora.B])
            {
                int bad = values.AsSpan().IndexOfAnyExceptInRange(float.MinValue, float.MaxValue);
                if (bad >= 0)
                    throw new ExportException(DiagnosticCodes.WeightNotFinite, $"The adapter's {lora.Name} holds {values[bad]}; its training diverged.");
            }
        }
    }
}
