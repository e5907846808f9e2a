using ModelSdk.Onnx.Checkpoints;

namespace ModelSdk.Onnx.Tests.Checkpoints;

public class FloatConversionTests
{
    private static readonly ushort[] All = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];

    [Fact]
    public void Every_bfloat16_is_widened_exactly()
    {
        var widened = new float[All.Length];
        FloatConversion.WidenBFloat16(All, widened);

        for (int i = 0; i < All.Length; i++)
            Assert.Equal((uint)i << 16, BitConverter.SingleToUInt32Bits(widened[i]));
    }

    [Fact]
    public void Every_half_is_widened_exactly()
    {
        var widened = new float[All.Length];
        FloatConversion.WidenHalf(All, widened);

        for (int i = 0; i < All.Length; i++)
        {
            float expected = (float)BitConverter.UInt16BitsToHalf(All[i]);
            if (float.IsNaN(expected))
                Assert.True(float.IsNaN(widened[i]));
            else
                Assert.Equal(BitConverter.SingleToUInt32Bits(expected), BitConverter.SingleToUInt32Bits(widened[i]));
        }
    }

    [Fact]
    public void Every_length_is_widened_to_its_end()
    {
        for (int length = 0; length < 70; length++)
        {
            var half = new float[length + 1];
            var bfloat = new float[length + 1];
            FloatConversion.WidenHalf(Enumerable.Repeat((ushort)0x3C00, length).ToArray(), half);
            FloatConversion.WidenBFloat16(Enumerable.Repeat((ushort)0x3F80, length).ToArray(), bfloat);
            float[] expected = [.. Enumerable.Repeat(1f, length), 0f];
            Assert.Equal(expected, half);
            Assert.Equal(expected, bfloat);
        }
    }

    [Fact]
    public void Sixteen_bits_survive_widening_and_rounding()
    {
        var widened = new float[All.Length];
        var narrowed = new ushort[All.Length];
        FloatConversion.WidenBFloat16(All, widened);
        FloatConversion.NarrowBFloat16(widened, narrowed);
        for (int i = 0; i < All.Length; i++)
            Assert.Equal(float.IsNaN(widened[i]) ? All[i] | 0x40 : All[i], narrowed[i]);
    }

    [Theory]
    [InlineData(0x3F808000u, 0x3F80)] // halfway, to the even one below
    [InlineData(0x3F818000u, 0x3F82)] // halfway, to the even one above
    [InlineData(0x3F808001u, 0x3F81)]
    [InlineData(0x3F807FFFu, 0x3F80)]
    [InlineData(0x7F7FFFFFu, 0x7F80)] // the largest single rounds to infinity
    [InlineData(0xFF800000u, 0xFF80)]
    [InlineData(0x7F800001u, 0x7FC0)] // a NaN stays one
    public void Rounding_to_bfloat16_is_to_nearest_even(uint bits, int expected)
    {
        var narrowed = new ushort[1];
        FloatConversion.NarrowBFloat16([BitConverter.UInt32BitsToSingle(bits)], narrowed);
        Assert.Equal(expected, narrowed[0]);
    }
}
