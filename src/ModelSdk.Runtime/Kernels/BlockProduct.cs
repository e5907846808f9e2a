using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace ModelSdk.Runtime.Kernels;

/// <summary>A node of a graph: what does not change from run to run.</summary>
internal readonly record struct BlockProductNode(BlockProductShape Shape, int Threads);

/// <summary>
/// Input times the transpose of weights that are quantized in blocks, on the threads of the session. A result is the sum over the blocks of an exact sum of integers times both scales,
/// so it does not depend on which rows are computed together, up to <see cref="PanelInputs"/> - 1 of the input: from there on sums are added in another order.
/// </summary>
/// <remarks>
/// With w = (code - zero) * s and x = c * t a block's share is s t (sum(code * c) - zero * sum(c)): codes stay unsigned, as instructions want them, and what their zero amounts to is where a
/// block's sum starts.
/// </remarks>
internal static unsafe class BlockProduct
{
    /// <summary>Bytes of weights, times rows of the input, that are worth a task of their own.</summary>
    private const long LeastWork = 1 << 15;

    /// <summary>Tasks a thread, so that one that is held up leaves its work to the others.</summary>
    private const int TasksPerThread = 4;

    /// <summary>Bytes of weights that stay in a core's cache while rows of the input pass by.</summary>
    private const int CachedBytes = 1 << 16;

    /// <summary>Rows of the input from which bringing weights to panels pays.</summary>
    private const int PanelInputs = 32;

    /// <summary>Where rounded inputs start: at multiples of this.</summary>
    public const int Alignment = 64;

    public static bool IsSupported => Avx2.IsSupported && Fma.IsSupported;

    /// <summary>Computes a node.</summary>
    /// <param name="node">The node.</param>
    /// <param name="input">[inputs, columns]</param>
    /// <param name="inputs">Rows of the input.</param>
    /// <param name="codes">The weights' codes.</param>
    /// <param name="scales">The weights' scales.</param>
    /// <param name="bias">[rows], or null.</param>
    /// <param name="output">Receives [inputs, rows].</param>
    /// <param name="context">OrtKernelContext*, which has the threads; null: the calling thread alone.</param>
    public static void Run(BlockProductNode node, float* input, int inputs, byte* codes, float* scales, float* bias, float* output, void* context)
    {
        if (inputs == 0)
            return;
        BlockOperands operands = new(node.Shape, inputs, input, codes, scales, bias, output);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(checked((int)(operands.InputBytes + Alignment)));
        fixed (byte* start = buffer)
        {
            operands.Place(Align(start));
            int threads = context is null ? 1 : node.Threads;
            Round(ref operands, threads, context);
            Multiply(ref operands, threads, context);
        }

        ArrayPool<byte>.Shared.Return(buffer);
    }

    /// <summary>The first multiple of <see cref="Alignment"/> from a place on.</summary>
    public static byte* Align(byte* place) => (byte*)(((nint)place + Alignment - 1) / Alignment * Alignment);

    /// <summary>Rounds the input where the shape says so.</summary>
    public static void Round(ref BlockOperands operands, int threads, void* context)
    {
        if (!operands.Shape.RoundsInput)
            return;
        if (threads == 1 || operands.Inputs < 4 * threads)
        {
            for (int row = 0; row < operands.Inputs; row++)
                BlockInput.Round(ref operands, row);
        }
        else
        {
            fixed (BlockOperands* all = &operands)
                OrtFunctions.ParallelFor(context, &RoundOne, operands.Inputs, all);
        }
    }

    /// <summary>All rows of weights with all rows of the input, which is rounded.</summary>
    public static void Multiply(ref BlockOperands operands, int threads, void* context)
    {
        Call call = new() { Operands = operands, Tasks = TasksOf(operands, threads) };
        if (call.Tasks == 1)
            Multiply(ref call.Operands, 0, call.Operands.Shape.Rows);
        else
            OrtFunctions.ParallelFor(context, &MultiplyOne, call.Tasks, &call);
    }

    /// <summary>How many tasks a product is worth.</summary>
    public static int TasksOf(in BlockOperands operands, int threads)
    {
        long work = (long)operands.Shape.Rows * operands.Shape.RowBytes * operands.Inputs;
        int panels = (operands.Shape.Rows + PanelKernel.Rows - 1) / PanelKernel.Rows;
        return threads == 1 ? 1 : (int)Math.Clamp(work / LeastWork, 1, Math.Min(panels, threads * TasksPerThread));
    }

    /// <summary>A task's rows of weights: whole panels, but for the last rows.</summary>
    public static (int First, int End) RowsOf(BlockProductShape shape, int task, int tasks)
    {
        long panels = (shape.Rows + PanelKernel.Rows - 1) / PanelKernel.Rows;
        int first = (int)(panels * task / tasks) * PanelKernel.Rows;
        return (first, Math.Min((int)(panels * (task + 1L) / tasks) * PanelKernel.Rows, shape.Rows));
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void RoundOne(void* operands, nuint row) => BlockInput.Round(ref *(BlockOperands*)operands, (int)row);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void MultiplyOne(void* call, nuint task)
    {
        ref Call c = ref *(Call*)call;
        (int first, int end) = RowsOf(c.Operands.Shape, (int)task, c.Tasks);
        Multiply(ref c.Operands, first, end);
    }

    /// <summary>Some rows of weights with all rows of the input.</summary>
    public static void Multiply(ref BlockOperands o, int firstRow, int endRow)
    {
        BlockProductShape shape = o.Shape;
        if (shape.RoundsInput && shape.Bits == 8 && shape.Blocks == 1)
        {
            OneBlockKernel.Multiply(ref o, firstRow, endRow);
            return;
        }

        // A panel takes block by block, which two blocks in one vector of split bytes are not.
        bool panels = shape.RoundsInput && o.Inputs >= PanelInputs && !(shape.SplitsBytes && shape.PairsBlocks);
        // Room for rows of codes where they are not used as they are stored, and for a panel or a row of weights.
        int codeBytes = panels ? PanelKernel.Rows * shape.InputStride : shape.IsDirect ? 0 : shape.InputStride;
        byte[] buffer = ArrayPool<byte>.Shared.Rent(codeBytes + (panels ? PanelKernel.Bytes(shape) : shape.RoundsInput ? 0 : shape.Columns * sizeof(float)));
        fixed (byte* scratch = buffer)
        {
            int done = 0;
            if (panels)
            {
                done = o.Inputs / PanelKernel.Inputs * PanelKernel.Inputs;
                for (int row = firstRow; row < endRow; row += PanelKernel.Rows)
                    MultiplyPanel(ref o, row, endRow, done, scratch, scratch + codeBytes);
            }

            int rows = Math.Max(CachedBytes / shape.RowBytes, 1);
            for (int first = firstRow; first < endRow && done < o.Inputs; first += rows)
            {
                int end = Math.Min(first + rows, endRow);
                int input = done;
                for (; input + 4 <= o.Inputs; input += 4)
                    MultiplyRows<Four>(ref o, first, end, input, scratch, codeBytes);
                if (input + 2 <= o.Inputs)
                {
                    MultiplyRows<Two>(ref o, first, end, input, scratch, codeBytes);
                    input += 2;
                }

                if (input < o.Inputs)
                    MultiplyRows<One>(ref o, first, end, input, scratch, codeBytes);
            }
        }

        ArrayPool<byte>.Shared.Return(buffer);
    }

    private static void MultiplyPanel(ref BlockOperands o, int row, int endRow, int endInput, byte* codes, byte* panel)
    {
        PanelKernel.Fill(ref o, row, codes, panel);
        float* results = stackalloc float[PanelKernel.Inputs * PanelKernel.Rows];
        int count = Math.Min(PanelKernel.Rows, endRow - row);
        for (int input = 0; input < endInput; input += PanelKernel.Inputs)
        {
            if (o.Shape.Bits == 8)
                PanelKernel.Multiply<Eight>(ref o, panel, input, results);
            else
                PanelKernel.Multiply<Four>(ref o, panel, input, results);
            for (int i = 0; i < PanelKernel.Inputs; i++)
            {
                for (int r = 0; r < count; r++)
                    Store(ref o, row + r, input + i, results[i * PanelKernel.Rows + r]);
            }
        }
    }

    private static void MultiplyRows<TInputs>(ref BlockOperands o, int firstRow, int endRow, int input, byte* scratch, int codeBytes)
        where TInputs : IConstant
    {
        BlockProductShape shape = o.Shape;
        if (!shape.RoundsInput)
            MultiplyExact<TInputs>(ref o, firstRow, endRow, input, scratch, (float*)(scratch + codeBytes));
        else if (!shape.IsDirect)
            MultiplyUnpacked<TInputs>(ref o, firstRow, endRow, input, scratch);
        else if (shape.Bits == 8)
            RowKernels.Rows8<TInputs>(ref o, o.Codes + (long)firstRow * shape.RowBytes, firstRow, endRow, input);
        else if (shape.PairsBlocks)
            RowKernels.Rows4Of32<TInputs>(ref o, firstRow, endRow, input);
        else
            RowKernels.Rows4<TInputs>(ref o, firstRow, endRow, input);
    }

    private static void MultiplyUnpacked<TInputs>(ref BlockOperands o, int firstRow, int endRow, int input, byte* codes)
        where TInputs : IConstant
    {
        BlockProductShape shape = o.Shape;
        for (int row = firstRow; row < endRow; row++)
        {
            // What lies behind the columns is multiplied with zeros, and may be anything.
            BlockCodes.Unpack(shape, o.Codes + (long)row * shape.RowBytes, codes);
            if (shape.Block > 16)
            {
                RowKernels.Rows8<TInputs>(ref o, codes, row, row + 1, input);
                continue;
            }

            for (int i = 0; i < TInputs.Value; i++)
                RowKernels.Row8Of16(ref o, codes, row, input + i);
        }
    }

    private static void MultiplyExact<TInputs>(ref BlockOperands o, int firstRow, int endRow, int input, byte* codes, float* weights)
        where TInputs : IConstant
    {
        BlockProductShape shape = o.Shape;
        float* results = stackalloc float[4];
        for (int row = firstRow; row < endRow; row++)
        {
            BlockCodes.Unpack(shape, o.Codes + (long)row * shape.RowBytes, codes);
            BlockCodes.Dequantize(shape, codes, o.Scales + (long)row * shape.Blocks, weights);
            ExactKernel.Multiply<TInputs>(ref o, weights, input, results);
            for (int i = 0; i < TInputs.Value; i++)
                Store(ref o, row, input + i, results[i]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(ref BlockOperands o, int row, int input, float result) =>
        o.Output[input * o.OutputStride + row] = o.Bias is null ? result : result + o.Bias[input * o.BiasStride + row];

    private struct Call
    {
        public BlockOperands Operands;
        public int Tasks;
    }
}
