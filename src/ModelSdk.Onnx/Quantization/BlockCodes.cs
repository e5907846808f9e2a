namespace ModelSdk.Onnx.Quantization;

/// <summary>Codes of one block and their bytes, low bits first, as MatMulNBits reads them.</summary>
internal static class BlockCodes
{
    /// <summary>The byte value of weight 0: 2, 8 or 128.</summary>
    public static int Zero(int bits) => 1 << (bits - 1);

    /// <summary>The least code: -2, -8 or -128.</summary>
    public static float Low(int bits) => -Zero(bits);

    /// <summary>The greatest code: 1, 7 or 127.</summary>
    public static float High(int bits) => Zero(bits) - 1;

    /// <summary>Packs codes <see cref="Low"/>..<see cref="High"/>.</summary>
    /// <param name="codes">Whole numbers.</param>
    /// <param name="bits">2, 4 or 8.</param>
    /// <param name="packed">Receives codes.Length * bits / 8 bytes.</param>
    public static void Pack(ReadOnlySpan<float> codes, int bits, Span<byte> packed)
    {
        int each = 8 / bits;
        int zero = Zero(bits);
        for (int i = 0; i < packed.Length; i++)
        {
            int value = 0;
            for (int j = 0; j < each; j++)
                value |= ((int)codes[(i * each) + j] + zero) << (j * bits);
            packed[i] = (byte)value;
        }
    }

    /// <summary>Unpacks and scales: (byte value - zero) * scale.</summary>
    /// <param name="packed">Bytes.</param>
    /// <param name="bits">2, 4 or 8.</param>
    /// <param name="scale">The block's scale.</param>
    /// <param name="values">Receives packed.Length * 8 / bits weights.</param>
    public static void Unpack(ReadOnlySpan<byte> packed, int bits, float scale, Span<float> values)
    {
        int each = 8 / bits;
        int zero = Zero(bits);
        int mask = (1 << bits) - 1;
        for (int i = 0; i < packed.Length; i++)
        {
            for (int j = 0; j < each; j++)
                values[(i * each) + j] = (((packed[i] >> (j * bits)) & mask) - zero) * scale;
        }
    }
}
