namespace ModelSdk.Onnx.Transforms.Maps;

/// <summary>
/// Rotates and scales the pairs (p, p + size/2) of every head, which commutes with rotary positions: those rotate the
/// same pairs.
/// </summary>
/// <param name="headSize">Width of one head.</param>
/// <param name="scales">Factor of each head's pairs, [heads, headSize/2].</param>
/// <param name="angles">Angle of each head's pairs in radians, [heads, headSize/2].</param>
internal sealed class RotaryMap(int headSize, double[] scales, double[] angles) : AxisMap
{
    public override int Size => 2 * scales.Length;

    public override AxisMap Inverse => new RotaryMap(headSize, [.. scales.Select(s => 1 / s)], Negated);

    public override AxisMap Transposed => new RotaryMap(headSize, scales, Negated);

    private double[] Negated => [.. angles.Select(a => -a)];

    public override void Apply(Span<double> x)
    {
        int half = headSize / 2;
        for (int i = 0; i < scales.Length; i++)
        {
            int at = (i / half * headSize) + (i % half);
            (double sin, double cos) = Math.SinCos(angles[i]);
            (double a, double b) = (x[at], x[at + half]);
            x[at] = scales[i] * ((a * cos) - (b * sin));
            x[at + half] = scales[i] * ((b * cos) + (a * sin));
        }
    }
}
