using System.Numerics.Tensors;
using System.Security.Cryptography;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Synthetic;
using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Onnx.Tests.Synthetic;

public class SyntheticCheckpointTests
{
    private static readonly SyntheticShape Tiny = SyntheticShape.All.Single(s => s.Name == "tiny");

    [Fact]
    public void A_base_opens_and_has_the_shape_asked_for()
    {
        using TemporaryFolder folder = new();
        Write(Tiny, 1, folder["base"]);

        using Checkpoint checkpoint = Checkpoint.Open(folder["base"]);
        Assert.Equal(Tiny.Config, checkpoint.Config);
        Assert.All(checkpoint.Tensors.Values, t => Assert.Equal(TensorDType.BF16, t.DType));
        Assert.Equal(SyntheticCheckpoint.WeightBytes(Tiny), checkpoint.Tensors.Values.Sum(t => t.Bytes));
    }

    [Fact]
    public void Seed_and_shape_decide_every_byte()
    {
        using TemporaryFolder folder = new();
        Write(Tiny, 7, folder["a"]);
        Write(Tiny, 7, folder["b"]);
        Write(Tiny, 8, folder["c"]);

        Assert.Equal(Digests(folder["a"]), Digests(folder["b"]));
        Assert.NotEqual(Digests(folder["a"]), Digests(folder["c"]));
    }

    [Fact]
    public void An_element_does_not_depend_on_the_run_it_is_asked_in()
    {
        SyntheticWeights weights = new(Tiny.Config, 3);
        const string name = "model.layers.1.mlp.down_proj.weight";
        var whole = new float[128 * 384];
        weights.Fill(name, 0, whole);
        foreach ((int start, int length) in ((int, int)[])[(0, 1), (383, 2), (5, 1000), (49151, 1)])
        {
            var run = new float[length];
            weights.Fill(name, start, run);
            Assert.Equal(whole[start..(start + length)], run);
        }
    }

    [Fact]
    public void Weights_have_the_statistics_that_make_quantization_hard()
    {
        TransformerConfig config = SyntheticShape.All.Single(s => s.Name == "qwen2.5-0.5b").Config;
        SyntheticWeights weights = new(config, 1);
        float[] Read(string name, int count)
        {
            var values = new float[count];
            weights.Fill(name, 0, values);
            return values;
        }

        // Rows of o_proj write the residual stream: a few are several times larger than the median, and the same channels stand out in the embedding.
        double[] written = RowSizes(Read("model.layers.3.self_attn.o_proj.weight", 896 * 896), 896);
        double[] embedded = ColumnSizes(Read(Qwen2Tensors.Embedding, 4096 * 896), 896);
        int[] outliers = Above(written, 4);
        Assert.InRange(outliers.Length, 4, 7);
        Assert.Equal(outliers, Above(embedded, 4));

        // Keys have large biases in the two slowest pairs of each head, in the first layer most; values have not.
        float[] first = Read("model.layers.0.self_attn.k_proj.bias", 128);
        float[] middle = Read("model.layers.11.self_attn.k_proj.bias", 128);
        float[] values = Read("model.layers.0.self_attn.v_proj.bias", 128);
        Assert.InRange(first.Max(MathF.Abs), 50, 200);
        Assert.InRange(middle.Max(MathF.Abs), 10, 60);
        Assert.InRange(values.Max(MathF.Abs), 0, 0.25);
        Assert.All(Enumerable.Range(0, 128).Where(i => i % 32 < 30), i => Assert.InRange(first[i], -2.2f, 2.2f));

        // Products keep the size of what they read: 0.8 of it, the outlier rows aside.
        double[] up = RowSizes(Read("model.layers.5.mlp.up_proj.weight", 4864 * 896), 896);
        Assert.InRange(Median(up) * Math.Sqrt(896), 0.7, 0.95);
        Assert.InRange(Above(up, 2.5).Length, 5, 40);
    }

    [Fact]
    public void Normal_numbers_are_the_quantiles_of_the_normal_distribution()
    {
        float[] quantiles = NormalTable.Quantiles;
        // Phi^-1 of (i + 1/2) / 65536, from tables: 0.9999923706 is 4.3255 at i = 65535; 0.975 and 0.8413447 are 1.959964 and 1.
        Assert.Equal(1.959964, quantiles[(int)(0.975 * 65536)], 1e-3);
        Assert.Equal(1, quantiles[(int)(0.8413447 * 65536)], 1e-3);
        Assert.Equal(4.3255, quantiles[^1], 0.05);
        Assert.Equal(1, quantiles.Average(q => (double)q * q), 1e-3);
        Assert.Equal(3, quantiles.Average(q => Math.Pow(q, 4)), 0.01);
        Assert.All(Enumerable.Range(1, quantiles.Length - 1), i => Assert.True(quantiles[i] > quantiles[i - 1]));
        Assert.Equal(quantiles, quantiles.Reverse().Select(q => -q));
    }

    [Fact]
    public void The_published_shapes_have_the_published_sizes()
    {
        // Parameters as the model cards give them, embedding included (0.49B, 1.54B, 3.09B, 7.61B, in units of 10 million).
        Assert.Equal([49, 154, 309, 762], SyntheticShape.All.Skip(1).Select(s => (int)Math.Round(SyntheticCheckpoint.WeightBytes(s) / 2e7)));
    }

    [Theory]
    [InlineData("tiny")]
    [InlineData("qwen2.5-0.5b")]
    public void The_tokenizer_reads_back_what_it_wrote(string name)
    {
        SyntheticShape shape = SyntheticShape.All.Single(s => s.Name == name);
        using TemporaryFolder folder = new();
        SyntheticTokenizer.Write(folder.Path, shape);

        Tokenizer tokenizer = Tokenizer.Load(folder["tokenizer.json"]);
        Assert.Equal(shape.MergedTokens + 3, tokenizer.Count);
        Assert.True(tokenizer.Count < shape.Config.VocabularySize);
        const string text = "The rain in Spain stays mainly in the plain, 12 + 34 = 46. Größe 東京 😀\n";
        int[] ids = tokenizer.Encode(text);
        Assert.Equal(text, tokenizer.Decode(ids));
        Assert.True(ids.Length < text.Length);
        Assert.Equal(shape.MergedTokens + 2, tokenizer.Encode("<|im_end|>").Single());
        Assert.Equal([shape.MergedTokens + 2, shape.MergedTokens], GenerationConfig.FromFolder(folder.Path).EosTokens);
        Assert.Equal("<|im_end|>", ChatTemplate.Load(folder["tokenizer_config.json"]).EndOfTurn);
    }

    [Fact]
    public void Large_models_are_sharded_and_the_index_names_every_tensor_once()
    {
        // As the 7B shape is, in small: the limit of a shard is an argument of the inner method.
        using TemporaryFolder folder = new();
        SyntheticCheckpoint.WriteWeights(Tiny, 1, folder.Path, shardBytes: 600_000, null, TestContext.Current.CancellationToken);
        CheckpointWriter.WriteConfig(folder["config.json"], Tiny.Config, TensorDType.BF16);
        Write(Tiny, 1, folder["single"]);

        using Checkpoint sharded = Checkpoint.Open(folder.Path);
        using Checkpoint single = Checkpoint.Open(folder["single"]);
        Assert.True(sharded.Files.Count > 2);
        Assert.All(sharded.Files, f => Assert.InRange(new FileInfo(f).Length, 1, 610_000));
        Assert.All(Qwen2Tensors.Of(Tiny.Config), t => Assert.Equal(single.Read(t.Name), sharded.Read(t.Name)));
    }

    [Fact]
    public void A_cancelled_write_leaves_nothing()
    {
        using TemporaryFolder folder = new();
        using CancellationTokenSource cancelled = new();
        cancelled.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => SyntheticCheckpoint.Write(Tiny, 1, folder["base"], null, cancelled.Token));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    private static void Write(SyntheticShape shape, int seed, string folder) =>
        SyntheticCheckpoint.Write(shape, seed, folder, null, TestContext.Current.CancellationToken);

    private static string[] Digests(string folder) =>
        [.. Directory.GetFiles(folder).Order(StringComparer.Ordinal).Select(f => $"{Path.GetFileName(f)} {Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(f)))}")];

    private static double[] RowSizes(float[] values, int columns) =>
        [.. values.Chunk(columns).Select(row => Math.Sqrt(TensorPrimitives.SumOfSquares<float>(row) / columns))];

    private static double[] ColumnSizes(float[] values, int columns)
    {
        var squares = new double[columns];
        for (int i = 0; i < values.Length; i++)
            squares[i % columns] += (double)values[i] * values[i];
        return [.. squares.Select(s => Math.Sqrt(s / (values.Length / columns)))];
    }

    private static int[] Above(double[] sizes, double factor) => [.. Enumerable.Range(0, sizes.Length).Where(i => sizes[i] > factor * Median(sizes))];

    private static double Median(double[] values) => values.Order().ElementAt(values.Length / 2);
}
