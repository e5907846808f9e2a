namespace ModelSdk.Runtime.Kernels;

/// <summary>Operands of one product.</summary>
internal unsafe struct BlockOperands
{
    public BlockProductShape Shape;

    /// <summary>The weights' codes and scales, as they are stored.</summary>
    public byte* Codes;
    public float* Scales;

    /// <summary>[rows], or null.</summary>
    public float* Bias;

    /// <summary>Rows of the input.</summary>
    public int Inputs;

    /// <summary>The input, [inputs, columns].</summary>
    public float* Exact;

    /// <summary>Its rounded form (<see cref="BlockInput"/>): codes [inputs, InputStride]; zeros behind the columns.</summary>
    public sbyte* Input;

    /// <summary>[inputs, blocks]</summary>
    public float* InputScales;

    /// <summary>Where the sums of a block start, [inputs, Starts, 8] with zeros elsewhere: minus the zero of the weights' codes times the sum of the input's codes.</summary>
    public int* Starts;

    /// <summary>[inputs, rows]</summary>
    public float* Output;
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
