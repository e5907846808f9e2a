namespace ModelSdk.Onnx.Transforms.Maps;

/// <summary>Multiplies each element by a factor.</summary>
internal sealed class DiagonalMap : AxisMap
{
    private readonly double[] _factors;
    private readonly double[] _inverses;

    private DiagonalMap(double[] factors, double[] inverses)
    {
        _factors = factors;
        _inverses = inverses;
    }

    public override int Size => _factors.Length;

    public override AxisMap Inverse => new DiagonalMap(_inverses, _factors);

    public override AxisMap Transposed => this;

    /// <summary>x &lt;- factors x.</summary>
    public static DiagonalMap Multiply(double[] factors) => new(factors, Inverses(factors));

    /// <summary>x &lt;- x / factors; an element whose factor is 0 is always 0 on that edge and stays so.</summary>
    public static DiagonalMap Divide(double[] factors) => new(Inverses(factors), factors);

    public override void Apply(Span<double> x)
    {
        for (int i = 0; i < x.Length; i++)
            x[i] *= _factors[i];
    }

    public override (int Source, double Factor)? Element(int index) => (index, _factors[index]);

    private static double[] Inverses(double[] factors) => [.. factors.Select(f => f == 0 ? 0 : 1 / f)];
}
