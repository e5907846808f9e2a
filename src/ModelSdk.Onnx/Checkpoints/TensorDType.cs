namespace ModelSdk.Onnx.Checkpoints;

/// <summary>Element type of a tensor in a safetensors file.</summary>
public enum TensorDType
{
    /// <summary>IEEE 754 single precision, 4 bytes.</summary>
    F32,

    /// <summary>IEEE 754 half precision, 2 bytes.</summary>
    F16,

    /// <summary>bfloat16: the upper half of a single, 2 bytes.</summary>
    BF16,

    /// <summary>A type that the format knows but that holds no weights ModelSdk can read (integers, booleans, doubles, 8-bit floats).</summary>
    Other,
}
