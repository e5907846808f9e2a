using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ModelSdk.Runtime.Kernels;

/// <summary>A node of a graph: what does not change from run to run.</summary>
internal struct AdaptedProductNode
{
    /// <summary>W</summary>
    public BlockProductShape Weight;

    /// <summary>A of all modules.</summary>
    public BlockProductShape Down;

    /// <summary>B of each module; their rows are those of W, one module behind the other.</summary>
    public OfModules<BlockProductShape> Up;

    public int Modules;
    public int Threads;
}

/// <summary>Something of each module, at most three.</summary>
[InlineArray(3)]
internal struct OfModules<T>
{
    private T _first;
}

/// <summary>Inputs and output of a node in one run; see <see cref="AdaptedLinearOperator"/>.</summary>
internal unsafe struct AdaptedOperands
{
    public int Inputs;
    public float* Input;
    public byte* Codes;
    public float* Scales;
    public float* Bias;
    public byte* DownCodes;
    public float* DownScales;
    public OfModules<nint> UpCodes;
    public OfModules<nint> UpScales;
    public float* Output;
}

/// <summary>W x + bias + B (A x): a linear and its adapter.</summary>
/// <remarks>
/// For few rows of the input everything is one round on the session's threads: first come tasks of A x, then those of rows of W x, each of which waits for A x (which other threads have
/// begun before it began) and adds its rows of B (A x). So an adapter costs the reading of its bytes and no rounds of its own.
/// </remarks>
internal static unsafe class AdaptedProduct
{
    /// <summary>Rows of the input from which the products are worth rounds of their own.</summary>
    private const int ManyInputs = 32;

    /// <summary>Computes a node.</summary>
    /// <param name="node">The node.</param>
    /// <param name="operands">Its inputs, and its output [inputs, rows].</param>
    /// <param name="context">OrtKernelContext*, which has the threads; null: the calling thread alone.</param>
    public static void Run(AdaptedProductNode node, AdaptedOperands operands, void* context)
    {
        int inputs = operands.Inputs;
        if (inputs == 0)
            return;
        int threads = context is null ? 1 : node.Threads;
        int inner = node.Down.Rows;
        Call call = new()
        {
            Weight = new BlockOperands(node.Weight, inputs, operands.Input, operands.Codes, operands.Scales, operands.Bias, operands.Output),
            Down = new BlockOperands(node.Down, inputs, operands.Input, operands.DownCodes, operands.DownScales, null, null),
            Modules = node.Modules,
        };
        long bytes = call.Weight.InputBytes + call.Down.InputBytes + (long)inputs * inner * sizeof(float);
        int firstRow = 0;
        for (int i = 0; i < node.Modules; i++)
        {
            float* output = operands.Output + firstRow;
            call.Up[i] = new BlockOperands(node.Up[i], inputs, null, (byte*)operands.UpCodes[i], (float*)operands.UpScales[i], output, output)
            {
                ExactStride = inner,
                BiasStride = node.Weight.Rows,
                OutputStride = node.Weight.Rows,
            };
            bytes += call.Up[i].InputBytes;
            firstRow += node.Up[i].Rows;
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent(checked((int)(bytes + BlockProduct.Alignment)));
        fixed (byte* start = buffer)
        {
            byte* room = call.Weight.Place(BlockProduct.Align(start));
            room = call.Down.Place(room);
            for (int i = 0; i < node.Modules; i++)
                room = call.Up[i].Place(room);
            call.Down.Output = (float*)room;                                // [inputs, modules * rank]
            for (int i = 0; i < node.Modules; i++)
                call.Up[i].Exact = call.Down.Output + i * node.Up[i].Columns;

            BlockProduct.Round(ref call.Weight, threads, context);
            BlockProduct.Round(ref call.Down, threads, context);
            if (threads == 1 || inputs >= ManyInputs)
                InTurns(ref call, threads, context);
            else
                AtOnce(ref call, threads, context);
        }

        ArrayPool<byte>.Shared.Return(buffer);
    }

    private static void InTurns(ref Call call, int threads, void* context)
    {
        BlockProduct.Multiply(ref call.Down, threads, context);
        BlockProduct.Multiply(ref call.Weight, threads, context);
        for (int i = 0; i < call.Modules; i++)
        {
            BlockProduct.Round(ref call.Up[i], threads, context);
            BlockProduct.Multiply(ref call.Up[i], threads, context);
        }
    }

    private static void AtOnce(ref Call call, int threads, void* context)
    {
        call.DownTasks = Math.Min(threads, (call.Down.Shape.Rows + PanelKernel.Rows - 1) / PanelKernel.Rows);
        call.WeightTasks = BlockProduct.TasksOf(call.Weight, threads);
        fixed (Call* all = &call)
            OrtFunctions.ParallelFor(context, &One, call.WeightTasks, all);
    }

    /// <summary>Some rows of W. Tasks of A x come first, whoever takes them, so that nobody waits for one that nobody has begun.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void One(void* all, nuint index)
    {
        ref Call call = ref *(Call*)all;
        while (Volatile.Read(ref call.Taken) < call.DownTasks)
        {
            int task = Interlocked.Increment(ref call.Taken) - 1;
            if (task < call.DownTasks)
                MultiplyDown(ref call, task);
        }

        (int first, int end) = BlockProduct.RowsOf(call.Weight.Shape, (int)index, call.WeightTasks);
        BlockProduct.Multiply(ref call.Weight, first, end);
        SpinWait wait = default;
        while (Volatile.Read(ref call.Ready) == 0)
            wait.SpinOnce(sleep1Threshold: -1);
        int start = 0;
        for (int i = 0; i < call.Modules; i++)
        {
            int rows = call.Up[i].Shape.Rows;
            int from = Math.Max(first - start, 0), to = Math.Min(end - start, rows);
            if (from < to)
                BlockProduct.Multiply(ref call.Up[i], from, to);
            start += rows;
        }
    }

    private static void MultiplyDown(ref Call call, int task)
    {
        (int first, int end) = BlockProduct.RowsOf(call.Down.Shape, task, call.DownTasks);
        BlockProduct.Multiply(ref call.Down, first, end);
        if (Interlocked.Increment(ref call.Done) < call.DownTasks)
            return;
        for (int i = 0; i < call.Modules; i++)
            BlockProduct.Round(ref call.Up[i], threads: 1, context: null);
        Volatile.Write(ref call.Ready, 1);
    }

    private struct Call
    {
        public BlockOperands Weight;
        public BlockOperands Down;
        public OfModules<BlockOperands> Up;
        public int Modules;
        public int DownTasks;
        public int WeightTasks;
        public int Taken;
        public int Done;
        public int Ready;
    }
}
