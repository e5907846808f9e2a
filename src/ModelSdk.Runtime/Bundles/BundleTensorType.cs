namespace ModelSdk.Runtime.Bundles;

/// <summary>Element types of the weight file.</summary>
public static class BundleTensorType
{
    /// <summary>Bytes of one element, or null for an unknown type.</summary>
    /// <param name="type">A type name of <see cref="BundleTensor.Type"/>.</param>
    public static int? Size(string type) => type switch
    {
        "float32" or "int32" => 4,
        "float16" or "bfloat16" => 2,
        "uint8" or "int8" => 1,
        "int64" => 8,
        _ => null,
    };
}
