using System.Buffers;

namespace ModelSdk.Onnx.Transforms.Maps;

/// <summary>Reorders: element i of the result is element order[i] of the vector.</summary>
internal sealed class PermutationMap(int[] order) : AxisMap
{
    public override int Size => order.Length;

    public override AxisMap Inverse
    {
        get
        {
            var inverse = new int[order.Length];
            for (int i = 0; i < order.Length; i++)
                inverse[order[i]] = i;
            return new PermutationMap(inverse);
        }
    }

    public override AxisMap Transposed => Inverse;

    public override void Apply(Span<double> x)
    {
        double[] old = ArrayPool<double>.Shared.Rent(x.Length);
        x.CopyTo(old);
        for (int i = 0; i < x.Length; i++)
            x[i] = old[order[i]];
        ArrayPool<double>.Shared.Return(old);
    }

    public override (int Source, double Factor)? Element(int index) => (order[index], 1);
}
