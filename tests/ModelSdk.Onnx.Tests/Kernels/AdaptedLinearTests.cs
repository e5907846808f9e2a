using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Graphs;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Kernels;
using DataType = ModelSdk.Onnx.Protobuf.TensorProto.Types.DataType;

namespace ModelSdk.Onnx.Tests.Kernels;

/// <summary>The node of a linear with its adapter: by its kernel, and by its body of standard nodes.</summary>
public sealed class AdaptedLinearTests
{
    private const int Columns = 256;

    [Theory]
    [InlineData(4, 4, 32, 4, false, 96)]
    [InlineData(4, 4, 16, 4, true, 96, 40)]
    [InlineData(4, 4, 48, 4, true, 64, 24, 24)]
    [InlineData(8, 4, 128, 4, false, 16, 8, 8)]
    [InlineData(2, 4, 32, 4, true, 200, 56)]
    [InlineData(4, 1, 64, 4, true, 96, 40)]
    [InlineData(4, 4, 32, 1, false, 96, 40)]
    public void The_kernel_computes_what_the_body_and_the_weights_amount_to(int bits, int level, int rank, int loraLevel, bool biased, params int[] modules)
    {
        Assert.SkipUnless(OwnKernels.IsSupported, "This processor has no AVX2.");
        using var linear = new Linear(bits, level, rank, loraLevel, biased, modules);
        // Rows of a few streams, and enough of them for rounds of threads of their own.
        foreach (int inputs in (int[])[1, 3, 40])
        {
            float[] input = Values(inputs * Columns, 1, inputs);

            float[] body = linear.Run(input, own: false);
            float[] kernel = linear.Run(input, own: true);
            double[] expected = linear.Exact(input);

            double size = Math.Sqrt(expected.Average(v => v * v));
            Assert.All(expected.Zip(body), pair => Assert.InRange(pair.Second, pair.First - (0.05 * size), pair.First + (0.05 * size)));
            Assert.All(body.Zip(kernel), pair => Assert.InRange(pair.Second, pair.First - (2e-3 * size), pair.First + (2e-3 * size)));
        }
    }

    [Fact]
    public void A_row_is_the_same_bits_whatever_other_rows_are_computed_with_it()
    {
        Assert.SkipUnless(OwnKernels.IsSupported, "This processor has no AVX2.");
        using var linear = new Linear(4, 4, 32, 4, biased: true, [600, 40, 24]);
        float[] input = Values(31 * Columns, 1, 5);
        float[] together = linear.Run(input, own: true);
        int rows = together.Length / 31;
        foreach (int inputs in (int[])[1, 2, 5])
        {
            for (int first = 0; first + inputs <= 31; first += inputs)
                Assert.Equal(together[(first * rows)..((first + inputs) * rows)], linear.Run(input[(first * Columns)..((first + inputs) * Columns)], own: true));
        }
    }

    [Fact]
    public void No_rows_give_no_rows()
    {
        Assert.SkipUnless(OwnKernels.IsSupported, "This processor has no AVX2.");
        using var linear = new Linear(4, 4, 32, 4, biased: true, [96, 40]);
        Assert.Empty(linear.Run([], own: true));
    }

    private static float[] Values(int count, double spread, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(spread * ((random.NextDouble() * 2) - 1)))];
    }

    /// <summary>A graph of one node, in a file with its weights beside it.</summary>
    private sealed class Linear : IDisposable
    {
        private readonly TemporaryFolder _folder = new();
        private readonly MemoryStream _data = new();
        private readonly int[] _modules;
        private readonly int _rank;
        private readonly float[] _w;
        private readonly float[]? _bias;
        private readonly float[] _a;
        private readonly float[][] _b;

        public Linear(int bits, int level, int rank, int loraLevel, bool biased, int[] modules)
        {
            (_modules, _rank) = (modules, rank);
            int rows = modules.Sum();
            var graph = new OnnxGraph("linear");
            graph.Input("x", DataType.Float, "n", Columns);
            graph.Output("y", DataType.Float, "n", rows);
            (MatrixTensor w, _w) = Matrix("w", rows, Columns, bits, 64, 0.1);
            (MatrixTensor a, _a) = Matrix("a", modules.Length * rank, Columns, 8, 256, 0.1);
            _b = new float[modules.Length][];
            var b = new MatrixTensor[modules.Length];
            for (int i = 0; i < modules.Length; i++)
                (b[i], _b[i]) = Matrix($"b{i}", modules[i], rank, 8, rank % 32 == 0 ? rank : 16, 0.3);
            _bias = biased ? Values(rows, 1, 9) : null;
            string[] bias = biased ? ["", "", graph.Constant("bias", _bias, rows)] : [];
            var node = OnnxGraph.Node("MatMulNBits", OnnxGraph.Contrib, ["x", .. graph.External(w), .. bias], ["w.y"],
                OnnxGraph.Int("K", Columns), OnnxGraph.Int("N", rows), OnnxGraph.Int("bits", bits), OnnxGraph.Int("block_size", 64), OnnxGraph.Int("accuracy_level", level));
            AdaptedLinear.Add(graph, "y", node, new AdapterLinear(a, b), loraLevel);
            File.WriteAllBytes(Path.Combine(_folder.Path, "linear.bin"), _data.ToArray());
            graph.Write(Path.Combine(_folder.Path, "linear.onnx"), "1");
        }

        public float[] Run(float[] input, bool own)
        {
            using SessionOptions options = new() { IntraOpNumThreads = 2 };
            if (own)
                OwnKernels.AddTo(options, threads: 2);
            using InferenceSession session = new(Path.Combine(_folder.Path, "linear.onnx"), options);
            using OrtValue value = OrtValue.CreateTensorValueFromMemory(input, [input.Length / Columns, Columns]);
            using RunOptions run = new();
            using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(run, ["x"], [value], ["y"]);
            return outputs[0].GetTensorDataAsSpan<float>().ToArray();
        }

        /// <summary>With an input that is not rounded.</summary>
        public double[] Exact(float[] input)
        {
            int inputs = input.Length / Columns, rows = _modules.Sum();
            double[] result = new double[inputs * rows];
            for (int i = 0; i < inputs; i++)
            {
                for (int module = 0, row = 0; module < _modules.Length; module++)
                {
                    double[] down = [.. Enumerable.Range(module * _rank, _rank).Select(r => Dot(_a, r, input, i))];
                    for (int m = 0; m < _modules[module]; m++, row++)
                        result[(i * rows) + row] = Dot(_w, row, input, i) + (_bias?[row] ?? 0) + down.Select((h, r) => h * _b[module][(m * _rank) + r]).Sum();
                }
            }

            return result;

            static double Dot(float[] matrix, int row, float[] input, int i)
            {
                double sum = 0;
                for (int k = 0; k < Columns; k++)
                    sum += (double)matrix[(row * Columns) + k] * input[(i * Columns) + k];
                return sum;
            }
        }

        public void Dispose()
        {
            _data.Dispose();
            _folder.Dispose();
        }

        private (MatrixTensor Matrix, float[] Weights) Matrix(string name, int rows, int columns, int bits, int block, double spread)
        {
            float[] weights = Values(rows * columns, spread, rows + columns);
            byte[] codes = new byte[rows * columns * bits / 8];
            float[] scales = new float[rows * (columns / block)];
            BlockQuantizer.Quantize(name, weights, columns, bits, block, codes, scales);
            BlockQuantizer.Dequantize(codes, scales, columns, bits, block, weights);
            WeightFormat format = bits switch { 2 => WeightFormat.Int2, 4 => WeightFormat.Int4, _ => WeightFormat.Int8 };
            return (new MatrixTensor(
                Append(name, "uint8", [rows, columns / block, block * bits / 8], codes),
                Append(name + ".scales", "float32", [rows, columns / block], MemoryMarshal.AsBytes(scales.AsSpan())),
                "linear.bin", rows, columns, format, block), weights);
        }

        private BundleTensor Append(string name, string type, long[] dims, ReadOnlySpan<byte> bytes)
        {
            long start = _data.Position;
            _data.Write(bytes);
            _data.Write(new byte[64 - (_data.Position % 64)]);
            return new BundleTensor(name, type, dims, start, bytes.Length);
        }
    }
}
