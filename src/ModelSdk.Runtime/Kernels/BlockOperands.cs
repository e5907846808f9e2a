namespace ModelSdk.Runtime.Kernels;

/// <summary>Operands of one product.</summary>
internal unsafe struct BlockOperands
{
    public BlockProductShape Shape;

    /// <summary>The weights' codes and scales, as they are stored.</summary>
    public byte* Codes;
    public float* Scales;

    /// <summary>What is added to the results: [rows] for all rows of the input (a stride of 0) or a row for each; or null.</summary>
    public float* Bias;
    public nint BiasStride;

    /// <summary>Rows of the input.</summary>
    public int Inputs;

    /// <summary>The input, [inputs, columns], and from one row of it to the next.</summary>
    public float* Exact;
    public nint ExactStride;

    /// <summary>Its rounded form (<see cref="BlockInput"/>): codes [inputs, InputStride]; zeros behind the columns.</summary>
    public sbyte* Input;

    /// <summary>[inputs, blocks]</summary>
    public float* InputScales;

    /// <summary>Where the sums of a block start, [inputs, Starts, 8] with zeros elsewhere: minus the zero of the weights' codes times the sum of the input's codes.</summary>
    public int* Starts;

    /// <summary>[inputs, rows], and from one row of it to the next. May be where <see cref="Bias"/> is, which adds to it.</summary>
    public float* Output;
    public nint OutputStride;

    public BlockOperands(BlockProductShape shape, int inputs, float* input, byte* codes, float* scales, float* bias, float* output)
    {
        Shape = shape;
        Codes = codes;
        Scales = scales;
        Bias = bias;
        Inputs = inputs;
        Exact = input;
        ExactStride = shape.Columns;
        Output = output;
        OutputStride = shape.Rows;
    }

    /// <summary>Bytes that the rounded form of an input takes; 0 where it is not rounded.</summary>
    public readonly long InputBytes => Shape.RoundsInput ? Inputs * (long)(Shape.InputStride + Shape.Starts * RowKernels.StartLanes * sizeof(int) + (Shape.Blocks * sizeof(float) + 63) / 64 * 64) : 0;

    /// <summary>Gives the rounded form its place.</summary>
    /// <param name="room"><see cref="InputBytes"/> from a multiple of 64 on.</param>
    /// <returns>The place behind it, a multiple of 64.</returns>
    public byte* Place(byte* room)
    {
        Input = (sbyte*)room;
        Starts = (int*)(Input + (long)Inputs * Shape.InputStride);
        InputScales = (float*)(Starts + (long)Inputs * Shape.Starts * RowKernels.StartLanes);
        return room + InputBytes;
    }
}

/// <summary>A number that is part of a kernel's type, so that each has code of its own.</summary>
internal interface IConstant
{
    static abstract int Value { get; }
}

internal readonly struct One : IConstant
{
    public static int Value => 1;
}

internal readonly struct Two : IConstant
{
    public static int Value => 2;
}

internal readonly struct Four : IConstant
{
    public static int Value => 4;
}

internal readonly struct Eight : IConstant
{
    public static int Value => 8;
}
