namespace ModelSdk.Onnx.Transforms.Maps;

/// <summary>
/// A linear map T of the vectors on one edge of the network: what was x is T x from there on. A linear between two
/// edges becomes W' = T_out W T_in^-1, b' = T_out b. Immutable; all arithmetic is in double precision.
/// </summary>
internal abstract class AxisMap
{
    /// <summary>Length of the vectors.</summary>
    public abstract int Size { get; }

    /// <summary>T^-1; a pseudo-inverse where an input is always zero.</summary>
    public abstract AxisMap Inverse { get; }

    /// <summary>T^T.</summary>
    public abstract AxisMap Transposed { get; }

    /// <summary>x &lt;- T x.</summary>
    /// <param name="x">[Size].</param>
    public abstract void Apply(Span<double> x);

    /// <summary>
    /// Where an element of T x comes from, when it is one element of x times a factor. Null when it is made of several elements: then a matrix
    /// cannot be mapped row by row.
    /// </summary>
    /// <param name="index">Of the element of T x.</param>
    public virtual (int Source, double Factor)? Element(int index) => null;

    /// <summary>One map after the other; null is the identity.</summary>
    public static AxisMap? Sequence(AxisMap? first, AxisMap? second)
        => first is null ? second : second is null ? first : new SequenceMap(first, second);
}
