using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using ModelSdk.Onnx.Protobuf;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Kernels;

namespace ModelSdk.Onnx.Tests.Kernels;

public sealed unsafe class BlockProductTests
{
    private const int Rows = 37;

    public static TheoryData<int, int, int, bool> Shapes()
    {
        TheoryData<int, int, int, bool> shapes = [];
        foreach (int bits in (int[])[2, 4, 8])
        {
            foreach (int block in (int[])[16, 32, 64, 128, 256])
            {
                // An odd number of blocks, and enough of them.
                shapes.Add(bits, block, 3 * block, true);
                shapes.Add(bits, block, 4 * block, true);
                shapes.Add(bits, block, 3 * block, false);
                shapes.Add(bits, block, block, true);
            }
        }

        return shapes;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Products_are_those_of_the_weights_that_the_codes_stand_for(int bits, int block, int columns, bool rounds)
    {
        Assert.SkipUnless(BlockProduct.IsSupported, "This processor has no AVX2.");
        Matrix matrix = Matrix.Random(bits, block, columns);
        // 35 rows are a panel of 32 and three rows.
        foreach (int inputs in (int[])[1, 2, 3, 7, 35])
        {
            float[] input = Values(inputs * columns, 0.5);
            float[] output = Multiply(matrix, input, rounds);
            float[] used = rounds ? Rounded(input, block) : input;
            for (int i = 0; i < inputs; i++)
            {
                for (int row = 0; row < Rows; row++)
                {
                    double expected = matrix.Bias[row];
                    double size = 1e-3;
                    for (int k = 0; k < columns; k++)
                    {
                        double product = (double)used[i * columns + k] * matrix.Weights[row * columns + k];
                        expected += product;
                        size += Math.Abs(product);
                    }

                    Assert.InRange(output[i * Rows + row], expected - (2e-6 * size), expected + (2e-6 * size));
                }
            }
        }
    }

    [Theory]
    [InlineData(4, 128)]
    [InlineData(4, 32)]
    [InlineData(8, 64)]
    [InlineData(2, 32)]
    [InlineData(8, 16)]
    [InlineData(8, 32, 1)]
    [InlineData(8, 16, 1)]
    public void A_row_is_the_same_bits_whatever_other_rows_are_computed_with_it(int bits, int block, int blocks = 4)
    {
        Assert.SkipUnless(BlockProduct.IsSupported, "This processor has no AVX2.");
        int columns = blocks * block;
        Matrix matrix = Matrix.Random(bits, block, columns);
        float[] input = Values(16 * columns, 1);
        float[] together = Multiply(matrix, input, rounds: true);
        foreach (int inputs in (int[])[1, 2, 3, 5, 8])
        {
            for (int first = 0; first + inputs <= 16; first += inputs)
                Assert.Equal(together[(first * Rows)..((first + inputs) * Rows)], Multiply(matrix, input[(first * columns)..((first + inputs) * columns)], rounds: true));
        }
    }

    [Theory]
    [InlineData(4, 32, 4)]
    [InlineData(4, 128, 4)]
    [InlineData(8, 64, 4)]
    [InlineData(4, 64, 1)]
    public void A_session_computes_what_it_computes_with_ONNX_Runtimes_kernel(int bits, int block, int level)
    {
        Assert.SkipUnless(OwnKernels.IsSupported, "This processor has no AVX2.");
        int columns = 4 * block;
        Matrix matrix = Matrix.Random(bits, block, columns);
        byte[] graph = Graph(matrix, bits, block, columns, level);
        float[] input = Values(3 * columns, 1);

        float[] theirs = Run(graph, input, columns, own: false);
        float[] ours = Run(graph, input, columns, own: true);

        Assert.Equal(theirs.Length, ours.Length);
        Assert.All(theirs.Zip(ours), pair => Assert.InRange(pair.Second, pair.First - 1e-3f, pair.First + 1e-3f));
    }

    [Theory]
    [InlineData(3, 32, 64)]
    [InlineData(4, 48, 96)]
    [InlineData(4, 32, 80)]
    public void A_shape_that_there_is_no_kernel_for_is_refused(int bits, int block, int columns)
    {
        InvalidOperationException e = Assert.Throws<InvalidOperationException>(() => new BlockProductShape(8, columns, bits, block, RoundsInput: true).Check());
        Assert.Contains("is not supported", e.Message, StringComparison.Ordinal);
    }

    private static float[] Multiply(Matrix matrix, float[] input, bool rounds)
    {
        int inputs = input.Length / matrix.Columns;
        float[] output = new float[inputs * Rows];
        BlockProductNode node = new(new BlockProductShape(Rows, matrix.Columns, matrix.Bits, matrix.Block, rounds), Threads: 1);
        node.Shape.Check();
        fixed (float* x = input, s = matrix.Scales, b = matrix.Bias, y = output)
        fixed (byte* w = matrix.Codes)
            BlockProduct.Run(node, x, inputs, w, s, b, y, context: null);
        return output;
    }

    private static float[] Run(byte[] graph, float[] input, int columns, bool own)
    {
        using SessionOptions options = new() { IntraOpNumThreads = 2 };
        if (own)
            OwnKernels.AddTo(options, threads: 2);
        using InferenceSession session = new(graph, options);
        using OrtValue value = OrtValue.CreateTensorValueFromMemory(input, [1, input.Length / columns, columns]);
        using RunOptions run = new();
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(run, ["x"], [value], ["y"]);
        return outputs[0].GetTensorDataAsSpan<float>().ToArray();
    }

    private static byte[] Graph(Matrix matrix, int bits, int block, int columns, int level)
    {
        NodeProto node = new() { OpType = "MatMulNBits", Domain = "com.microsoft", Input = { "x", "w", "s", "", "", "b" }, Output = { "y" } };
        foreach ((string name, long value) in ((string, long)[])[("K", columns), ("N", Rows), ("bits", bits), ("block_size", block), ("accuracy_level", level)])
            node.Attribute.Add(new AttributeProto { Name = name, I = value, Type = AttributeProto.Types.AttributeType.Int });
        GraphProto graph = new()
        {
            Name = "product",
            Node = { node },
            Input = { Value("x", -1, -1, columns) },
            Output = { Value("y", -1, -1, Rows) },
            Initializer =
            {
                Tensor("w", TensorProto.Types.DataType.Uint8, matrix.Codes, Rows, columns / block, block * bits / 8),
                Tensor("s", TensorProto.Types.DataType.Float, Bytes(matrix.Scales), Rows, columns / block),
                Tensor("b", TensorProto.Types.DataType.Float, Bytes(matrix.Bias), Rows),
            },
        };
        return new ModelProto
        {
            IrVersion = 10,
            Graph = graph,
            OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 21 }, new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 } },
        }.ToByteArray();

        static byte[] Bytes(float[] values)
        {
            byte[] bytes = new byte[values.Length * sizeof(float)];
            Buffer.BlockCopy(values, 0, bytes, 0, bytes.Length);
            return bytes;
        }

        static TensorProto Tensor(string name, TensorProto.Types.DataType type, byte[] bytes, params long[] dims) =>
            new() { Name = name, DataType = (int)type, Dims = { dims }, RawData = ByteString.CopyFrom(bytes) };

        static ValueInfoProto Value(string name, params long[] dims)
        {
            TensorShapeProto shape = new();
            foreach (long dim in dims)
                shape.Dim.Add(dim < 0 ? new TensorShapeProto.Types.Dimension { DimParam = "n" + shape.Dim.Count } : new TensorShapeProto.Types.Dimension { DimValue = dim });
            return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)TensorProto.Types.DataType.Float, Shape = shape } } };
        }
    }

    private static float[] Rounded(float[] input, int block)
    {
        float[] rounded = new float[input.Length];
        for (int start = 0; start < input.Length; start += block)
        {
            float max = input.AsSpan(start, block).ToArray().Max(Math.Abs);
            for (int i = start; i < start + block; i++)
                rounded[i] = max == 0 ? 0 : MathF.Round(input[i] * (127 / max), MidpointRounding.ToEven) * (max / 127);
        }

        return rounded;
    }

    private static float[] Values(int count, double mean)
    {
        Random random = new(count);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(mean + random.NextDouble() * 4 - 2))];
    }

    private sealed record Matrix(int Bits, int Block, int Columns, byte[] Codes, float[] Scales, float[] Bias, float[] Weights)
    {
        public static Matrix Random(int bits, int block, int columns)
        {
            byte[] codes = new byte[Rows * columns * bits / 8];
            float[] scales = new float[Rows * (columns / block)];
            float[] weights = Values(Rows * columns, 0);
            BlockQuantizer.Quantize("w", weights, columns, bits, block, codes, scales);
            BlockQuantizer.Dequantize(codes, scales, columns, bits, block, weights);
            return new Matrix(bits, block, columns, codes, scales, Values(Rows, 0), weights);
        }
    }
}
