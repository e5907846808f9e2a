namespace ModelSdk.Onnx.Quantization;

/// <summary>
/// GPTQ in blocks along the columns, in the layout of <see cref="BlockQuantizer"/>: every column is rounded after it has taken on what the
/// errors of those before it ask for (<see cref="ErrorFeedback"/>). Columns go in the order of falling activation, which is what matters most
/// with few bits, and no index of groups is needed at run time.
/// </summary>
/// <remarks>
/// Where the stored order is that order (feed-forward channels that were permuted by activation), the scale of a block is chosen when its turn
/// comes, from weights that have taken on all errors before. Elsewhere the blocks' scales are chosen beforehand, from the original weights
/// ("static groups"). Rows are independent; the result does not depend on threads or vector width.
/// </remarks>
internal static class GptqQuantizer
{
    /// <summary>Rows that one task takes, so that each column's factors are read once for all of them.</summary>
    private const int Tile = 16;

    /// <summary>Columns whose feedback from all before them is computed at once, where blocks do not say otherwise.</summary>
    private const int Panel = 32;

    /// <summary>Channels by falling activation; equal ones stay in order.</summary>
    public static int[] ByActivation(IReadOnlyList<float> activations) => [.. Enumerable.Range(0, activations.Count).OrderByDescending(i => activations[i])];

    /// <summary>Quantizes a row-major [rows, columns] matrix. Rows are spread over all cores.</summary>
    /// <param name="name">Tensor's name, for messages.</param>
    /// <param name="weights">Weights, row-major [rows, columns].</param>
    /// <param name="feedback">Of the linear's inputs.</param>
    /// <param name="bits">2, 4 or 8.</param>
    /// <param name="block">Columns that share a scale.</param>
    /// <param name="data">Receives the codes.</param>
    /// <param name="scales">Receives the scales.</param>
    /// <param name="firstRow">Row of the tensor that <paramref name="weights"/> starts at, for messages. Default 0.</param>
    /// <returns>tr(E H E^T) with H's damping: the squared error of the linear's outputs, summed over the calibration's tokens.</returns>
    /// <exception cref="ExportException">MDL4001 block does not divide, MDL4002 NaN or infinity, MDL4003 unsupported setting.</exception>
    public static double Quantize(string name, ReadOnlyMemory<float> weights, ErrorFeedback feedback, int bits, int block, Memory<byte> data, Memory<float> scales, int firstRow = 0)
    {
        int columns = feedback.Order.Length;
        // Checks what comes in, and gives static groups their scales.
        BlockQuantizer.Quantize(name, weights, columns, bits, block, data, scales, firstRow, feedback.Diagonal);
        int rows = weights.Length / columns;
        int rowBytes = columns * bits / 8;
        int rowScales = columns / block;
        int tiles = (rows + Tile - 1) / Tile;
        var losses = new double[tiles];
        Parallel.For(0, tiles, () => new Workspace(feedback, bits, block), (tile, _, work) =>
        {
            int first = tile * Tile;
            int count = Math.Min(Tile, rows - first);
            losses[tile] = work.Quantize(weights.Span.Slice(first * columns, count * columns), data.Span.Slice(first * rowBytes, count * rowBytes), scales.Span.Slice(first * rowScales, count * rowScales));
            return work;
        }, _ => { });
        return losses.Sum();
    }

    /// <summary>Buffers of one task, used for tile after tile.</summary>
    private sealed class Workspace(ErrorFeedback feedback, int bits, int block)
    {
        private readonly int[] _order = feedback.Order;
        private readonly int _columns = feedback.Order.Length;
        private readonly bool _stored = feedback.Order.Index().All(c => c.Index == c.Item);
        private readonly float[] _errors = new float[Tile * feedback.Order.Length];
        private readonly float[] _codes = new float[Tile * feedback.Order.Length];
        private readonly float[] _adjusted = new float[Tile * Math.Max(Panel, block)];
        private readonly float[] _trial = new float[block];

        public double Quantize(ReadOnlySpan<float> weights, Span<byte> data, Span<float> scales)
        {
            int rows = weights.Length / _columns;
            int panel = _stored ? block : Panel;
            double loss = 0;
            for (int start = 0; start < _columns; start += panel)
            {
                int count = Math.Min(panel, _columns - start);
                for (int k = start; k < start + count; k++)
                {
                    ReadOnlySpan<float> factors = feedback.Factors(k)[..start];
                    for (int row = 0; row < rows; row++)
                        _adjusted[(row * panel) + k - start] = weights[(row * _columns) + _order[k]] + FixedOrderSum.Dot(_errors.AsSpan(row * _columns, start), factors);
                }

                for (int row = 0; row < rows; row++)
                    loss += QuantizePanel(weights.Slice(row * _columns, _columns), row, start, _adjusted.AsSpan(row * panel, count), scales.Slice(row * (_columns / block), _columns / block));
            }

            int bytes = block * bits / 8;
            for (int i = 0; i < data.Length / bytes; i++)
                BlockCodes.Pack(_codes.AsSpan(i * block, block), bits, data.Slice(i * bytes, bytes));
            return loss;
        }

        /// <summary>Rounds the columns of a panel in one row, one after the other.</summary>
        private double QuantizePanel(ReadOnlySpan<float> weights, int row, int start, ReadOnlySpan<float> adjusted, Span<float> scales)
        {
            Span<float> errors = _errors.AsSpan(row * _columns, _columns);
            Span<float> codes = _codes.AsSpan(row * _columns, _columns);
            if (_stored)
                BlockQuantizer.QuantizeBlock(adjusted, feedback.Costs.AsSpan(start, block), bits, _trial, out scales[start / block]);
            double loss = 0;
            for (int i = 0; i < adjusted.Length; i++)
            {
                int k = start + i;
                int column = _order[k];
                float value = adjusted[i] + FixedOrderSum.Dot(errors.Slice(start, i), feedback.Factors(k)[start..]);
                float scale = scales[column / block];
                float code = scale == 0 ? 0 : Math.Clamp(MathF.Round(value / scale), BlockCodes.Low(bits), BlockCodes.High(bits));
                codes[column] = code;
                errors[k] = weights[column] - (code * scale);
                double left = value - (code * scale);
                loss += feedback.Costs[k] * left * left;
            }

            return loss;
        }
    }
}
