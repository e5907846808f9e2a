using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using ModelSdk.Manifest;

namespace ModelSdk.Onnx.Quantization;

/// <summary>
/// Symmetric 2, 4 and 8 bit quantization in blocks along the columns, in the layout of ONNX Runtime's MatMulNBits:
/// data uint8 [rows, columns/block, block*bits/8] (low bits first), scales float32 [rows, columns/block],
/// weight = (code - zero) * scale with zero = 2 (2 bits), 8 (4 bits) or 128 (8 bits).
/// </summary>
/// <remarks>
/// Round-to-nearest with a search over signed full-range scales (paper, section 6, "Methods by cost"): the codes span
/// -8..7 (-2..1, -128..127), so the sign of the scale decides which end reaches further. Each candidate's codes get their
/// least-squares scale; the candidate with the least squared error wins. Plain round-to-nearest (max/7, max/1, max/127) is
/// one of the candidates. Where the importance of columns is known (E[x^2] of what they are multiplied with), squared errors
/// are weighted by it. The result does not depend on the machine's vector width or on the number of threads.
/// </remarks>
public static class BlockQuantizer
{
    /// <summary>Candidates of the scale search per block: 20 magnitudes, each with both signs.</summary>
    public const int Candidates = 40;

    /// <summary>Bytes of the codes of a [rows, columns] matrix.</summary>
    public static long DataBytes(int rows, int columns, int bits) => (long)rows * columns * bits / 8;

    /// <summary>Throws unless <paramref name="columns"/> divides by <paramref name="block"/> and both settings are supported.</summary>
    /// <param name="name">Tensor's name, for the message.</param>
    /// <param name="columns">Input features, K.</param>
    /// <param name="bits">2, 4 or 8.</param>
    /// <param name="block">16, 32, 64, 128 or 256.</param>
    /// <exception cref="ExportException">MDL4001 or MDL4003.</exception>
    public static void Check(string name, int columns, int bits, int block)
    {
        if (bits is not (2 or 4 or 8))
            throw new ExportException(DiagnosticCodes.QuantizationSettingInvalid, $"{bits} bits were asked for {name}; supported are 2, 4 and 8.");
        if (block is not (16 or 32 or 64 or 128 or 256))
            throw new ExportException(DiagnosticCodes.QuantizationSettingInvalid, $"A quantization block of {block} was asked for {name}; supported are 32, 64, 128 and 256.");
        if (columns % block != 0)
            throw new ExportException(DiagnosticCodes.BlockDoesNotDivide, $"{name} has {columns} columns, which do not divide by the quantization block of {block}. Choose a smaller block, or weights \"none\".");
    }

    /// <summary>Quantizes a row-major [rows, columns] matrix. Rows are spread over all cores.</summary>
    /// <param name="name">Tensor's name, for messages.</param>
    /// <param name="weights">Weights, row-major [rows, columns].</param>
    /// <param name="columns">Input features, K.</param>
    /// <param name="bits">2, 4 or 8.</param>
    /// <param name="block">Columns that share a scale.</param>
    /// <param name="data">Receives the codes: rows * columns * bits / 8 bytes.</param>
    /// <param name="scales">Receives the scales: rows * columns / block values; may be negative.</param>
    /// <param name="firstRow">Row of the tensor that <paramref name="weights"/> starts at, for messages. Default 0.</param>
    /// <param name="importance">Weight of each column's squared errors, [columns], above 0; empty (default): all alike.</param>
    /// <exception cref="ExportException">MDL4001 block does not divide, MDL4002 NaN or infinity, MDL4003 unsupported setting.</exception>
    public static void Quantize(string name, ReadOnlyMemory<float> weights, int columns, int bits, int block, Memory<byte> data, Memory<float> scales, int firstRow = 0, ReadOnlyMemory<float> importance = default)
    {
        Check(name, columns, bits, block);
        int rows = weights.Length / columns;
        int blocks = columns / block;
        int rowBytes = columns * bits / 8;
        if (!importance.IsEmpty && importance.Length != columns)
            throw new ArgumentException($"{importance.Length} weights of importance do not fit the {columns} columns of {name}.", nameof(importance));
        if (weights.Length != (long)rows * columns || data.Length != (long)rows * rowBytes || scales.Length != rows * blocks)
            throw new ArgumentException($"Buffers do not fit {name}: {weights.Length} weights of {columns} columns, {data.Length} bytes, {scales.Length} scales.");

        int firstBad = int.MaxValue;
        Parallel.For(0, rows, () => new float[block], (row, _, codes) =>
        {
            ReadOnlySpan<float> source = weights.Span.Slice(row * columns, columns);
            Span<byte> rowData = data.Span.Slice(row * rowBytes, rowBytes);
            Span<float> rowScales = scales.Span.Slice(row * blocks, blocks);
            for (int b = 0; b < blocks; b++)
            {
                ReadOnlySpan<float> values = source.Slice(b * block, block);
                ReadOnlySpan<float> weight = importance.IsEmpty ? default : importance.Span.Slice(b * block, block);
                if (!QuantizeBlock(values, weight, bits, codes, out rowScales[b]))
                {
                    InterlockedMin(ref firstBad, row);
                    break;
                }

                BlockCodes.Pack(codes, bits, rowData.Slice(b * block * bits / 8, block * bits / 8));
            }

            return codes;
        }, _ => { });

        if (firstBad != int.MaxValue)
        {
            int column = weights.Span.Slice(firstBad * columns, columns).IndexOfAnyExceptInRange(float.MinValue, float.MaxValue);
            throw NotFinite(name, weights.Span[(firstBad * columns) + column], firstRow + firstBad, column);
        }
    }

    internal static ExportException NotFinite(string name, float value, long row, long column)
        => new(DiagnosticCodes.WeightNotFinite, $"{name} holds {value} at row {row}, column {column}; weights must be finite. The checkpoint is damaged or its training diverged.");

    /// <summary>Computes (code - zero) * scale in fp32, exactly as the kernel does. Rows are spread over all cores.</summary>
    /// <param name="data">Codes, [rows, columns/block, block*bits/8].</param>
    /// <param name="scales">Scales, [rows, columns/block].</param>
    /// <param name="columns">Input features, K.</param>
    /// <param name="bits">2, 4 or 8.</param>
    /// <param name="block">Columns that share a scale.</param>
    /// <param name="weights">Receives row-major [rows, columns].</param>
    public static void Dequantize(ReadOnlyMemory<byte> data, ReadOnlyMemory<float> scales, int columns, int bits, int block, Memory<float> weights)
    {
        int rows = weights.Length / columns;
        int blocks = columns / block;
        int rowBytes = columns * bits / 8;
        Parallel.For(0, rows, row =>
        {
            ReadOnlySpan<byte> source = data.Span.Slice(row * rowBytes, rowBytes);
            ReadOnlySpan<float> rowScales = scales.Span.Slice(row * blocks, blocks);
            Span<float> target = weights.Span.Slice(row * columns, columns);
            for (int b = 0; b < blocks; b++)
            {
                BlockCodes.Unpack(source.Slice(b * block * bits / 8, block * bits / 8), bits, rowScales[b], target.Slice(b * block, block));
            }
        });
    }

    /// <summary>Chooses the scale and the codes (-2..1, -8..7 or -128..127, as floats) of one block; false when a value is not finite.</summary>
    /// <param name="values">Weights.</param>
    /// <param name="importance">Weight of each one's squared error; empty: all alike.</param>
    /// <param name="bits">2, 4 or 8.</param>
    /// <param name="codes">Receives the codes.</param>
    /// <param name="scale">Receives the scale.</param>
    internal static bool QuantizeBlock(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, int bits, Span<float> codes, out float scale)
    {
        scale = 0;
        float extreme = Extreme(values);
        if (!float.IsFinite(extreme))
            return false;
        codes.Clear();
        // Below this, 1/extreme would overflow; such weights are zero for every practical purpose.
        if (MathF.Abs(extreme) < 1e-30f)
            return true;

        // The extreme is mapped to +-reach: below the range's end the range is not used up, above it the extreme is clipped.
        // 35/5 = 7, 5/5 = 1 and 127 (positive sign) are plain round-to-nearest; 40/5 = 8, 10/5 = 2 and 128 (negative sign) use the full
        // range. With 2 bits clipping pays most: of normal weights it is best to clip at about half of the extreme.
        var best = new Choice(float.PositiveInfinity, 0, 0);
        for (int i = 0; i < Candidates / 2; i++)
        {
            float reach = bits switch { 2 => (5 + i) / 5f, 4 => (31 + i) / 5f, _ => 118 + i };
            ConsiderBoth(values, importance, reach / extreme, bits, ref best);
        }

        scale = best.Scale;
        Round(values, best.Inverse, bits, codes);
        return true;
    }

    /// <summary>Tries a magnitude with both signs.</summary>
    private static void ConsiderBoth(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, float inverse, int bits, ref Choice best)
    {
        float trial = 1 / inverse;
        if (Vector512.IsHardwareAccelerated)
        {
            (Vector512<float> rr, Vector512<float> rq, Vector512<float> qq) = Sums512(values, importance, inverse, trial, bits);
            Consider(inverse, trial, Sum(rr.GetLower()), Sum(rq.GetLower()), Sum(qq.GetLower()), ref best);
            Consider(-inverse, -trial, Sum(rr.GetUpper()), Sum(rq.GetUpper()), Sum(qq.GetUpper()), ref best);
        }
        else
        {
            foreach (int sign in (ReadOnlySpan<int>)[1, -1])
            {
                (Vector256<float> rr, Vector256<float> rq, Vector256<float> qq) = Sums256(values, importance, sign * inverse, sign * trial, bits);
                Consider(sign * inverse, sign * trial, Sum(rr), Sum(rq), Sum(qq), ref best);
            }
        }
    }

    /// <summary>
    /// With the codes q of a trial scale t and r = w - tq fixed, the best scale is t + sum(rq)/sum(qq), and the squared error it
    /// leaves is sum(rr) - sum(rq)^2/sum(qq), each term weighted by its importance. Working on the remainder r keeps single precision exact enough for 8 bits too.
    /// </summary>
    private static void Consider(float inverse, float trial, float rr, float rq, float qq, ref Choice best)
    {
        if (qq == 0) // every weight rounds to 0, which any finite scale can do better
            return;
        float error = rr - (rq / qq * rq);
        if (error < best.Error)
            best = new Choice(error, inverse, trial + (rq / qq));
    }

    /// <summary>Sums of rr, rq and qq, lane by lane.</summary>
    internal static (Vector256<float> Rr, Vector256<float> Rq, Vector256<float> Qq) Sums256(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, float inverse, float trial, int bits)
    {
        Vector256<float> low = Vector256.Create(BlockCodes.Low(bits));
        Vector256<float> high = Vector256.Create(BlockCodes.High(bits));
        Vector256<float> factor = Vector256.Create(inverse);
        Vector256<float> step = Vector256.Create(trial);
        Vector256<float> rr = Vector256<float>.Zero;
        Vector256<float> rq = Vector256<float>.Zero;
        Vector256<float> qq = Vector256<float>.Zero;
        ReadOnlySpan<Vector256<float>> source = MemoryMarshal.Cast<float, Vector256<float>>(values);
        ReadOnlySpan<Vector256<float>> weight = MemoryMarshal.Cast<float, Vector256<float>>(importance);
        for (int i = 0; i < source.Length; i++)
        {
            // The values are finite, so the machine's own minimum and maximum are those of the standard.
            Vector256<float> q = Vector256.MinNative(Vector256.MaxNative(Vector256.Round(source[i] * factor), low), high);
            Vector256<float> r = source[i] - (q * step);
            Vector256<float> weightedR = weight.IsEmpty ? r : weight[i] * r;
            Vector256<float> weightedQ = weight.IsEmpty ? q : weight[i] * q;
            rr += r * weightedR;
            rq += r * weightedQ;
            qq += q * weightedQ;
        }

        return (rr, rq, qq);
    }

    /// <summary><see cref="Sums256"/> of a trial scale in the lower half and of its negative in the upper one: the same bits.</summary>
    internal static (Vector512<float> Rr, Vector512<float> Rq, Vector512<float> Qq) Sums512(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, float inverse, float trial, int bits)
    {
        Vector512<float> low = Vector512.Create(BlockCodes.Low(bits));
        Vector512<float> high = Vector512.Create(BlockCodes.High(bits));
        Vector512<float> factor = Vector512.Create(Vector256.Create(inverse), Vector256.Create(-inverse));
        Vector512<float> step = Vector512.Create(Vector256.Create(trial), Vector256.Create(-trial));
        Vector512<float> rr = Vector512<float>.Zero;
        Vector512<float> rq = Vector512<float>.Zero;
        Vector512<float> qq = Vector512<float>.Zero;
        ReadOnlySpan<Vector256<float>> source = MemoryMarshal.Cast<float, Vector256<float>>(values);
        if (importance.IsEmpty)
        {
            for (int i = 0; i < source.Length; i++)
            {
                Vector512<float> w = Vector512.Create(source[i]);
                Vector512<float> q = Vector512.MinNative(Vector512.MaxNative(Vector512.Round(w * factor), low), high);
                Vector512<float> r = w - (q * step);
                rr += r * r;
                rq += r * q;
                qq += q * q;
            }

            return (rr, rq, qq);
        }

        ReadOnlySpan<Vector256<float>> weight = MemoryMarshal.Cast<float, Vector256<float>>(importance);
        for (int i = 0; i < source.Length; i++)
        {
            Vector512<float> w = Vector512.Create(source[i]);
            Vector512<float> h = Vector512.Create(weight[i]);
            Vector512<float> q = Vector512.MinNative(Vector512.MaxNative(Vector512.Round(w * factor), low), high);
            Vector512<float> r = w - (q * step);
            Vector512<float> weightedQ = h * q;
            rr += r * (h * r);
            rq += r * weightedQ;
            qq += q * weightedQ;
        }

        return (rr, rq, qq);
    }

    private static void Round(ReadOnlySpan<float> values, float inverse, int bits, Span<float> codes)
    {
        Vector256<float> low = Vector256.Create(BlockCodes.Low(bits));
        Vector256<float> high = Vector256.Create(BlockCodes.High(bits));
        Vector256<float> factor = Vector256.Create(inverse);
        ReadOnlySpan<Vector256<float>> source = MemoryMarshal.Cast<float, Vector256<float>>(values);
        Span<Vector256<float>> target = MemoryMarshal.Cast<float, Vector256<float>>(codes);
        for (int i = 0; i < source.Length; i++)
            target[i] = Vector256.Min(Vector256.Max(Vector256.Round(source[i] * factor), low), high);
    }

    /// <summary>The value of greatest magnitude, with its sign; NaN when any value is NaN.</summary>
    private static float Extreme(ReadOnlySpan<float> values)
    {
        float extreme = 0;
        foreach (float value in values)
        {
            if (!float.IsFinite(value))
                return float.NaN;
            if (MathF.Abs(value) > MathF.Abs(extreme))
                extreme = value;
        }

        return extreme;
    }

    /// <summary>Adds the eight lanes in a fixed order, so that the result is the same on every machine.</summary>
    private static float Sum(Vector256<float> v)
    {
        Vector128<float> a = v.GetLower() + v.GetUpper();
        return (a[0] + a[2]) + (a[1] + a[3]);
    }

    /// <summary>The best candidate so far.</summary>
    /// <param name="Error">Weighted squared error.</param>
    /// <param name="Inverse">What weights are multiplied with before they are rounded to codes.</param>
    /// <param name="Scale">Least-squares scale of those codes.</param>
    private readonly record struct Choice(float Error, float Inverse, float Scale);

    private static void InterlockedMin(ref int target, int value)
    {
        int seen = Volatile.Read(ref target);
        while (value < seen)
        {
            int previous = Interlocked.CompareExchange(ref target, value, seen);
            if (previous == seen)
                return;
            seen = previous;
        }
    }
}
