using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Quantization;
using ModelSdk.Onnx.Tests.Support;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Tests.Quantization;

public sealed class QuantizedModelTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(true, WeightFormat.Int4, WeightFormat.Int8)]
    [InlineData(false, WeightFormat.Int8, WeightFormat.Int4)]
    [InlineData(true, WeightFormat.None, WeightFormat.Int8)]
    [InlineData(true, WeightFormat.Int2, WeightFormat.Int8)]
    public void Reading_back_gives_every_weight_near_the_checkpoint(bool tied, WeightFormat weights, WeightFormat embeddings)
    {
        TransformerConfig config = TinyModel.Config(tied);
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], config);
        QuantizedModel.Quantize(checkpoint, new QuantizationSettings { Weights = weights, Embeddings = embeddings }, folder["model"], cancellationToken: TestContext.Current.CancellationToken);
        QuantizedModel model = QuantizedModel.Open(folder["model"]);

        foreach ((string name, long[] shape) in Qwen2Tensors.Of(config).Append((Qwen2Tensors.Head, [config.VocabularySize, config.HiddenSize])))
        {
            float[] expected = checkpoint.Read(name);
            float[] actual = model.ReadDequantized(name);
            Assert.Equal(expected.Length, actual.Length);
            WeightFormat format = shape.Length == 1 || weights == WeightFormat.None ? WeightFormat.None : name is Qwen2Tensors.Embedding or Qwen2Tensors.Head ? embeddings : weights;
            double error = Math.Sqrt(expected.Zip(actual, (a, b) => Math.Pow(a - b, 2)).Sum() / expected.Sum(a => (double)a * a));
            Assert.InRange(error, 0, format switch { WeightFormat.None => 0, WeightFormat.Int8 => 0.01, WeightFormat.Int4 => 0.1, _ => 0.4 });
        }
    }

    [Fact]
    public void Tied_embedding_and_head_share_their_bytes()
    {
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], TinyModel.Config(tied: true));
        QuantizedModel model = QuantizedModel.Quantize(checkpoint, new QuantizationSettings(), folder["model"], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(model.Tensor(Qwen2Tensors.Embedding).Offset, model.Tensor(Qwen2Tensors.Head).Offset);
        Assert.Equal(model.Tensor(Qwen2Tensors.Embedding + ".scales").Offset, model.Tensor(Qwen2Tensors.Head + ".scales").Offset);
        long distinct = model.Tensors.DistinctBy(t => t.Offset).Sum(t => (t.Bytes + 63) / 64 * 64);
        Assert.InRange(new FileInfo(model.WeightsPath).Length, distinct - 63, distinct);
    }

    [Fact]
    public void Every_tensor_starts_at_a_multiple_of_64_and_none_overlap()
    {
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], TinyModel.Config(tied: false, hidden: 96, heads: 3, keyValueHeads: 1));
        QuantizedModel model = QuantizedModel.Quantize(checkpoint, new QuantizationSettings(), folder["model"], cancellationToken: TestContext.Current.CancellationToken);

        long end = 0;
        foreach (BundleTensor tensor in model.Tensors.OrderBy(t => t.Offset))
        {
            Assert.Equal(0, tensor.Offset % 64);
            Assert.True(tensor.Offset >= end, $"{tensor.Name} overlaps its neighbour.");
            Assert.Equal(tensor.Bytes, tensor.Dims.Aggregate(1L, (a, b) => a * b) * BundleTensorType.Size(tensor.Type));
            end = tensor.Offset + tensor.Bytes;
        }
    }

    [Fact]
    public void The_same_checkpoint_gives_the_same_bytes_and_progress_reaches_one()
    {
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], TinyModel.Config());
        var seen = new Recorder();
        QuantizedModel.Quantize(checkpoint, new QuantizationSettings(), folder["a"], seen, TestContext.Current.CancellationToken);
        QuantizedModel.Quantize(checkpoint, new QuantizationSettings(), folder["b"], cancellationToken: TestContext.Current.CancellationToken);

        foreach (string file in (string[])[QuantizedModel.WeightsFileName, QuantizedModel.DirectoryFileName])
            Assert.Equal(File.ReadAllBytes(Path.Combine(folder["a"], file)), File.ReadAllBytes(Path.Combine(folder["b"], file)));
        Assert.Equal(1.0, seen.Values[^1], 6);
        Assert.Equal(seen.Values.Order(), seen.Values);
    }

    [Fact]
    public void A_block_that_does_not_divide_names_the_tensor_before_anything_is_written()
    {
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], TinyModel.Config(intermediate: 96));

        var e = Assert.Throws<ExportException>(() => QuantizedModel.Quantize(checkpoint, new QuantizationSettings { Block = 64 }, folder["model"], cancellationToken: TestContext.Current.CancellationToken));

        Assert.Equal("MDL4001", e.Code);
        Assert.Contains("model.layers.0.mlp.down_proj.weight", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("model.layers.1.mlp.up_proj.weight", WeightFormat.Int4)]
    [InlineData("model.layers.1.mlp.up_proj.weight", WeightFormat.None)]
    [InlineData("model.layers.0.self_attn.k_proj.bias", WeightFormat.Int4)]
    public void A_checkpoint_with_NaN_names_the_tensor(string damaged, WeightFormat weights)
    {
        TransformerConfig config = TinyModel.Config();
        using (Checkpoint good = TinyModel.Write(folder["good"], config))
        {
            CheckpointWriter.Write(folder["base"], config, name =>
            {
                float[] values = good.Read(name);
                if (name == damaged)
                    values[5] = float.NaN;
                return values;
            }, TensorDType.F32);
        }

        using Checkpoint checkpoint = Checkpoint.Open(folder["base"]);
        var e = Assert.Throws<ExportException>(() => QuantizedModel.Quantize(checkpoint, new QuantizationSettings { Weights = weights }, folder["model"], cancellationToken: TestContext.Current.CancellationToken));

        Assert.Equal("MDL4002", e.Code);
        Assert.Contains(damaged, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Truncated_weights_are_refused_when_opened()
    {
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], TinyModel.Config());
        QuantizedModel model = QuantizedModel.Quantize(checkpoint, new QuantizationSettings(), folder["model"], cancellationToken: TestContext.Current.CancellationToken);
        using (FileStream file = File.OpenWrite(model.WeightsPath))
            file.SetLength(file.Length - 100);

        var e = Assert.Throws<ExportException>(() => QuantizedModel.Open(folder["model"]));

        Assert.Equal("MDL4004", e.Code);
        Assert.Contains("weights.bin", e.Message, StringComparison.Ordinal);
    }

    private sealed class Recorder : IProgress<double>
    {
        public List<double> Values { get; } = [];

        public void Report(double value) => Values.Add(value);
    }
}
