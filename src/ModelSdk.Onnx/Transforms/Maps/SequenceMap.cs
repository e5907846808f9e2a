namespace ModelSdk.Onnx.Transforms.Maps;

/// <summary>First one map, then the other.</summary>
internal sealed class SequenceMap(AxisMap first, AxisMap second) : AxisMap
{
    public override int Size => first.Size;

    public override AxisMap Inverse => new SequenceMap(second.Inverse, first.Inverse);

    public override AxisMap Transposed => new SequenceMap(second.Transposed, first.Transposed);

    public override void Apply(Span<double> x)
    {
        first.Apply(x);
        second.Apply(x);
    }

    public override (int Source, double Factor)? Element(int index)
        => second.Element(index) is (int middle, double after) && first.Element(middle) is (int source, double before) ? (source, before * after) : null;
}
