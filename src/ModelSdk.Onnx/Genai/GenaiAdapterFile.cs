using Google.FlatBuffers;
using Microsoft.ML.OnnxRuntime;

namespace ModelSdk.Onnx.Genai;

/// <summary>
/// An adapter in ONNX Runtime's format, which onnxruntime-genai loads: a FlatBuffer "TORT" of tensors named as inputs of the graph
/// (onnxruntime/lora/adapter_format/adapter_schema.fbs).
/// </summary>
internal static class GenaiAdapterFile
{
    private const string Identifier = "TORT";
    private const int FormatVersion = 1;
    private const int Float = 1;
    private const int Alignment = 8;

    /// <summary>The file of an adapter, relative to the bundle's folder.</summary>
    public static string PathOf(string adapter) => $"adapters/{adapter}/{adapter}.onnx_adapter";

    /// <summary>Writes the file; the same tensors give the same bytes.</summary>
    /// <param name="path">The file.</param>
    /// <param name="parameters">float32 tensors by the names of the inputs that they are given to.</param>
    public static void Write(string path, IReadOnlyList<(string Name, OrtValue Value)> parameters)
    {
        FlatBufferBuilder builder = new(1 << 16);
        Offset<int>[] written = [.. parameters.Select(p => Parameter(builder, p.Name, p.Value))];
        VectorOffset vector = builder.CreateVectorOfTables(written);
        builder.StartTable(4);
        builder.AddInt(0, FormatVersion, 0);
        builder.AddInt(1, 1, 0);                   // version of the adapter
        builder.AddInt(2, 1, 0);                   // version of the model
        builder.AddOffset(3, vector.Value, 0);
        builder.Finish(builder.EndTable(), Identifier);
        File.WriteAllBytes(path, builder.SizedByteArray());
    }

    private static Offset<int> Parameter(FlatBufferBuilder builder, string name, OrtValue value)
    {
        StringOffset text = builder.CreateString(name);
        long[] shape = value.GetTensorTypeAndShape().Shape;
        builder.StartVector(sizeof(long), shape.Length, sizeof(long));
        for (int i = shape.Length - 1; i >= 0; i--)
            builder.AddLong(shape[i]);
        VectorOffset dims = builder.EndVector();
        byte[] data = value.GetTensorDataAsSpan<byte>().ToArray();
        builder.StartVector(1, data.Length, Alignment);
        builder.Add(data);
        VectorOffset raw = builder.EndVector();
        builder.StartTable(4);
        builder.AddOffset(0, text.Value, 0);
        builder.AddOffset(1, dims.Value, 0);
        builder.AddInt(2, Float, 0);
        builder.AddOffset(3, raw.Value, 0);
        return new Offset<int>(builder.EndTable());
    }
}
