using System.Numerics;

namespace ModelSdk.Runtime.Kernels;

/// <summary>A matrix of weights quantized in blocks, in the layout of MatMulNBits: codes uint8 [rows, columns / block, block * bits / 8], low bits first; scales float32 [rows, columns / block]; weight = (code - zero) * scale.</summary>
/// <param name="Rows">Output features, N.</param>
/// <param name="Columns">Input features, K.</param>
/// <param name="Bits">2, 4 or 8; their zero is 2, 8 or 128.</param>
/// <param name="Block">Columns that share a scale: 16, 32, 64, 128 or 256.</param>
/// <param name="RoundsInput">Whether a row of the input is rounded to 8 bits, with a scale a block (accuracy_level 4), or is used as it is (level 1).</param>
internal readonly record struct BlockProductShape(int Rows, int Columns, int Bits, int Block, bool RoundsInput)
{
    /// <summary>Bytes of a row of codes.</summary>
    public int RowBytes => Columns / 8 * Bits;

    /// <summary>Scales of a row.</summary>
    public int Blocks => Columns / Block;

    /// <summary>Bytes of a row of rounded input, or of codes of a byte each: full vectors.</summary>
    public int InputStride => (Columns + 63) / 64 * 64;

    public int Zero => 1 << (Bits - 1);

    /// <summary>Whether kernels read the codes as they are stored; others are brought to a byte each before.</summary>
    public bool IsDirect => RoundsInput && Block >= 32 && (Bits == 8 || (Bits == 4 && Columns % 64 == 0));

    /// <summary>Whether codes are used in the order in which bytes of two give them: of each 64 the even ones, then the odd ones. The input is brought to the same order.</summary>
    public bool SplitsBytes => IsDirect && Bits == 4;

    /// <summary>Whether a kernel's vector of codes spans two blocks.</summary>
    public bool PairsBlocks => Block == 16 || (SplitsBytes && Block == 32);

    /// <summary>Vectors of numbers that sums start from: one a block, or one for two.</summary>
    public int Starts => PairsBlocks ? (Blocks + 1) / 2 : Blocks;

    /// <summary>Where in those vectors the number of a block is: in the first lane, of the second of two blocks in the fifth.</summary>
    public int StartOf(int block) => PairsBlocks ? block / 2 * RowKernels.StartLanes + block % 2 * 4 : block * RowKernels.StartLanes;

    /// <exception cref="InvalidOperationException">The kernel has no form for it.</exception>
    public void Check()
    {
        if (Bits is not (2 or 4 or 8) || Block is < 16 or > 256 || !BitOperations.IsPow2(Block) || Rows < 1 || Columns < Block || Columns % Block != 0)
            throw new InvalidOperationException($"MatMulNBits of {Bits} bits, [{Rows}, {Columns}] in blocks of {Block}, is not supported: bits are 2, 4 or 8, blocks 16 to 256 columns, and the columns a multiple of the block.");
    }
}
