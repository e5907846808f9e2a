using System.Buffers.Binary;
using System.Text;
using CsCheck;
using ModelSdk.Onnx.Checkpoints;

namespace ModelSdk.Onnx.Tests.Checkpoints;

public sealed class SafetensorsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("modelsdk-test-").FullName;

    private string Target => Path.Combine(_folder, "one.safetensors");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_layout_is_that_of_the_format()
    {
        SafetensorsWriter.Write(Target, [new TensorData("b", TensorDType.BF16, [2], new float[] { 1, -2 }), new TensorData("a", TensorDType.F32, [1, 1], new float[] { 3 })]);

        byte[] bytes = File.ReadAllBytes(Target);
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        Assert.Equal(
            """{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]}}""",
            Encoding.UTF8.GetString(bytes, 8, length).TrimEnd(' '));
        Assert.Equal(0, length % 8);
        Assert.Equal([0, 0, 0x40, 0x40, 0x80, 0x3F, 0x00, 0xC0], bytes[(8 + length)..]);
    }

    [Fact]
    public void Scalars_and_empty_tensors_are_read()
    {
        SafetensorsWriter.Write(Target, [new TensorData("scalar", TensorDType.F32, [], new float[] { 5 }), new TensorData("empty", TensorDType.F16, [0, 3], Array.Empty<float>())]);
        using SafetensorsFile file = SafetensorsFile.Open(Target);

        Assert.Equal([5f], file.ReadFloats("scalar"));
        Assert.Empty(file.ReadFloats("empty"));
        Assert.Equal((1, 0), (file.Tensors["scalar"].Count, file.Tensors["empty"].Count));
    }

    [Fact]
    public void Random_tensors_are_read_back() =>
        Gen.Select(Gen.String[Gen.Char.AlphaNumeric, 1, 8], Gen.Enum<TensorDType>().Where(t => t != TensorDType.Other), Gen.Int[0, 70]).Array[0, 6].Sample(specs =>
        {
            TensorData[] tensors = [.. specs.DistinctBy(s => s.Item1).Select(s => new TensorData(s.Item1, s.Item2, [s.Item3], Enumerable.Range(0, s.Item3).Select(i => i - 20f).ToArray()))];
            SafetensorsWriter.Write(Target, tensors);
            using SafetensorsFile file = SafetensorsFile.Open(Target);
            Assert.Equal(tensors.Length, file.Tensors.Count);
            Assert.All(tensors, t => Assert.Equal(t.Values.ToArray(), file.ReadFloats(t.Name)));
        }, iter: 100, threads: 1);

    [Fact]
    public void Tensors_of_other_types_are_listed_but_not_read_as_weights()
    {
        Write("""{"ids":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}""", 8);
        using SafetensorsFile file = SafetensorsFile.Open(Target);

        Assert.Equal(("I64", 8), (file.Tensors["ids"].TypeName, file.Tensors["ids"].Bytes));
        Assert.Equal("MDL2013", Assert.Throws<ModelFormatException>(() => file.ReadFloats("ids")).Code);
        Assert.Equal("MDL2011", Assert.Throws<ModelFormatException>(() => file.ReadFloats("none")).Code);
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12, "overlaps tensor \"a\"")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}""", 12, "4 bytes between tensor \"a\" and tensor \"b\"")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "4 bytes between the header and tensor \"a\"")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 8, "4 bytes after tensor \"a\"")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 4, "truncated")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, "does not fill")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,0]}}""", 0, "does not fill")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", 4, "no range")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775807]}}""", 4, "truncated")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}""", 4, "no range")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "a.shape")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", 4, "a.shape")]
    [InlineData("""{"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}}""", 4, "a.shape")]
    [InlineData("""{"a":{"shape":[1],"data_offsets":[0,4]}}""", 4, "a.dtype")]
    [InlineData("""{"a":{"dtype":"F32","data_offsets":[0,4]}}""", 4, "a.shape")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1]}}""", 4, "a.data_offsets")]
    [InlineData("""{"a":[]}""", 0, "\"a\" is described by an array")]
    [InlineData("""{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}""", 0, "a")]
    [InlineData("""{"__metadata__":{"format":5}}""", 0, "__metadata__")]
    [InlineData("""{"\ud800":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}""", 0, "cannot be read")]
    [InlineData("""{"__metadata__":[]}""", 0, "__metadata__")]
    [InlineData("[]", 0, "does not begin with")]
    [InlineData("", 0, "does not begin with")]
    [InlineData("""{"a":""", 0, "cannot be read")]
    public void A_damaged_file_is_refused(string header, int dataBytes, string text)
    {
        Write(header, dataBytes);

        ModelFormatException error = Refuse("MDL2010");
        Assert.Contains(text, error.Message, StringComparison.Ordinal);
        Assert.Equal(Target, error.Path);
    }

    [Fact]
    public void A_tensor_that_is_not_aligned_is_refused()
    {
        Write("""{"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}""", 6);

        Assert.Contains("not aligned", Refuse("MDL2010").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unknown_type_is_named()
    {
        Write("""{"a":{"dtype":"Q4_K","shape":[1],"data_offsets":[0,4]}}""", 4);

        Assert.Contains("Q4_K", Refuse("MDL2013").Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(100_000_001)]
    [InlineData(-1)]
    [InlineData(long.MinValue)]
    [InlineData(1000)]
    public void A_header_that_claims_too_much_is_refused(long length)
    {
        var bytes = new byte[64];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, length);
        File.WriteAllBytes(Target, bytes);

        Assert.Contains("header claims", Refuse("MDL2010").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Deep_nesting_is_refused()
    {
        Write(string.Concat(Enumerable.Repeat("{\"a\":", 200_000)), 0);

        Refuse("MDL2010");
    }

    [Fact]
    public void A_file_of_any_shorter_length_is_refused()
    {
        SafetensorsWriter.Write(Target, [new TensorData("a", TensorDType.F32, [3], new float[3]), new TensorData("b", TensorDType.BF16, [5], new float[5])]);
        byte[] bytes = File.ReadAllBytes(Target);
        for (int length = 0; length < bytes.Length; length++)
        {
            File.WriteAllBytes(Target, bytes[..length]);
            Refuse("MDL2010");
        }
    }

    [Fact]
    public void Random_bytes_are_refused() =>
        Gen.Select(Gen.Byte.Array[0, 100], Gen.Bool).Sample((bytes, honest) =>
        {
            if (honest && bytes.Length >= 8)
                BinaryPrimitives.WriteInt64LittleEndian(bytes, bytes.Length - 8);
            File.WriteAllBytes(Target, bytes);
            Refuse("MDL2010");
        }, iter: 500, threads: 1);

    [Fact]
    public void A_header_with_one_byte_changed_opens_or_is_refused()
    {
        SafetensorsWriter.Write(Target, [new TensorData("a", TensorDType.F32, [3], new float[3]), new TensorData("b", TensorDType.BF16, [4], new float[4])]);
        byte[] original = File.ReadAllBytes(Target);
        Gen.Select(Gen.Int[0, original.Length - 21], Gen.Byte).Sample((at, value) =>
        {
            byte[] bytes = [.. original];
            bytes[at] = value;
            File.WriteAllBytes(Target, bytes);
            try
            {
                using SafetensorsFile file = SafetensorsFile.Open(Target);
                foreach (TensorInfo tensor in file.Tensors.Values.Where(t => t.DType != TensorDType.Other))
                    Assert.Equal(tensor.Count, file.ReadFloats(tensor.Name).Length);
            }
            catch (ModelFormatException)
            {
                // Any other exception fails the test.
            }
        }, iter: 500, threads: 1);
    }

    [Fact]
    public void A_failed_write_leaves_the_old_file_and_nothing_else()
    {
        SafetensorsWriter.Write(Target, [new TensorData("a", TensorDType.F32, [1], new float[1])]);
        byte[] before = File.ReadAllBytes(Target);

        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(Target, [new TensorData("a", TensorDType.F32, [2], new float[1])]));
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(Target, [new TensorData("a", TensorDType.Other, [1], new float[1])]));
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(Target, [new TensorData("a", TensorDType.F32, [1], new float[1]), new TensorData("a", TensorDType.F32, [1], new float[1])]));
        Assert.ThrowsAny<IOException>(() => SafetensorsWriter.Write(Path.Combine(_folder, "none", "x"), []));
        Directory.CreateDirectory(Path.Combine(_folder, "taken"));
        Assert.ThrowsAny<Exception>(() => SafetensorsWriter.Write(Path.Combine(_folder, "taken"), []));

        Assert.Equal(before, File.ReadAllBytes(Target));
        Assert.Equal([Target], Directory.GetFiles(_folder));
    }

    [Fact]
    public void A_closed_file_says_so()
    {
        SafetensorsWriter.Write(Target, [new TensorData("a", TensorDType.F32, [1], new float[1])]);
        SafetensorsFile file = SafetensorsFile.Open(Target);
        file.Dispose();

        Assert.Throws<ObjectDisposedException>(() => file.ReadFloats("a"));
    }

    /// <summary>Writes a header, padded so that the data is aligned, and zeros.</summary>
    private void Write(string header, int dataBytes)
    {
        byte[] json = Encoding.UTF8.GetBytes(header.Length == 0 ? "" : header.PadRight((header.Length + 7) / 8 * 8));
        var bytes = new byte[8 + json.Length + dataBytes];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, json.Length);
        json.CopyTo(bytes, 8);
        File.WriteAllBytes(Target, bytes);
    }

    private ModelFormatException Refuse(string code)
    {
        var error = Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(Target));
        Assert.Equal(code, error.Code);
        return error;
    }
}
