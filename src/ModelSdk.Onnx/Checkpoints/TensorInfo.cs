namespace ModelSdk.Onnx.Checkpoints;

/// <summary>Where and what one tensor of a safetensors file is.</summary>
/// <param name="Name">Name of the tensor, as Hugging Face writes it (for instance model.layers.0.self_attn.q_proj.weight).</param>
/// <param name="DType">Element type.</param>
/// <param name="TypeName">The element type as the file spells it.</param>
/// <param name="Shape">Dimensions, outermost first; a linear's weight is [out, in]. Empty for a scalar.</param>
/// <param name="Offset">Position of the first byte in the file.</param>
/// <param name="Bytes">Length in bytes.</param>
public sealed record TensorInfo(string Name, TensorDType DType, string TypeName, long[] Shape, long Offset, long Bytes)
{
    /// <summary>Number of elements.</summary>
    public long Count
    {
        get
        {
            long count = 1;
            foreach (long size in Shape)
                count *= size;
            return count;
        }
    }
}
