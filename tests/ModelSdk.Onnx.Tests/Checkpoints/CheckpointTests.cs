using ModelSdk.Onnx.Checkpoints;

namespace ModelSdk.Onnx.Tests.Checkpoints;

public class CheckpointTests
{
    [Theory]
    [InlineData(TensorDType.BF16)]
    [InlineData(TensorDType.F16)]
    [InlineData(TensorDType.F32)]
    public void What_was_written_is_read_back(TensorDType type)
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write(type: type);
        using Checkpoint checkpoint = Checkpoint.Open(tiny.Folder);

        Assert.Equal(TinyCheckpoint.Config, checkpoint.Config);
        Assert.All(Qwen2Tensors.Of(checkpoint.Config), t =>
        {
            Assert.Equal(t.Shape, checkpoint.Tensors[t.Name].Shape);
            Assert.Equal(TinyCheckpoint.Values(t.Name, t.Shape), checkpoint.Read(t.Name));
        });
    }

    [Fact]
    public void Shards_read_as_one()
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write().Shard(3);
        using Checkpoint checkpoint = Checkpoint.Open(tiny.Folder);

        Assert.Equal(3, checkpoint.Files.Count);
        Assert.All(Qwen2Tensors.Of(checkpoint.Config), t => Assert.Equal(TinyCheckpoint.Values(t.Name, t.Shape), checkpoint.Read(t.Name)));
    }

    [Fact]
    public void Shards_may_lie_in_a_folder_below()
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write().Shard(2);
        Directory.CreateDirectory(Path.Combine(tiny.Folder, "shards"));
        foreach (string file in Directory.GetFiles(tiny.Folder, "*.safetensors"))
            File.Move(file, Path.Combine(tiny.Folder, "shards", Path.GetFileName(file)));
        File.WriteAllText(tiny.Index, File.ReadAllText(tiny.Index).Replace("\"model-", "\"shards/model-", StringComparison.Ordinal));

        using Checkpoint checkpoint = Checkpoint.Open(tiny.Folder);
        Assert.Equal(2, checkpoint.Files.Count);
    }

    [Fact]
    public void The_head_of_a_tied_model_is_the_embedding()
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write();
        using Checkpoint checkpoint = Checkpoint.Open(tiny.Folder);

        Assert.Equal(checkpoint.Read(Qwen2Tensors.Embedding), checkpoint.Read(Qwen2Tensors.Head));
    }

    [Fact]
    public void An_untied_model_has_a_head_of_its_own()
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write(TinyCheckpoint.Config with { TiedEmbeddings = false });
        using Checkpoint checkpoint = Checkpoint.Open(tiny.Folder);

        Assert.NotEqual(checkpoint.Read(Qwen2Tensors.Embedding), checkpoint.Read(Qwen2Tensors.Head));
    }

    [Fact]
    public void A_copy_of_tied_weights_and_old_rotary_tables_are_ignored()
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write();
        tiny.Rewrite(tensors => [.. tensors,
            new TensorData(Qwen2Tensors.Head, TensorDType.F32, [2], new float[2]),
            new TensorData("model.layers.0.self_attn.rotary_emb.inv_freq", TensorDType.F32, [2], new float[2])]);

        using Checkpoint checkpoint = Checkpoint.Open(tiny.Folder);
        Assert.Equal(40 * 16, checkpoint.Read(Qwen2Tensors.Head).Length);
    }

    [Fact]
    public void A_run_of_a_tensor_is_read_alone()
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write();
        using Checkpoint checkpoint = Checkpoint.Open(tiny.Folder);
        var row = new float[16];

        checkpoint.Read(Qwen2Tensors.Embedding, row, start: 3 * 16);

        Assert.Equal(checkpoint.Read(Qwen2Tensors.Embedding)[48..64], row);
        Assert.Throws<ArgumentOutOfRangeException>(() => checkpoint.Read(Qwen2Tensors.Embedding, new float[16], start: (40 * 16) - 15));
        Assert.Throws<ArgumentOutOfRangeException>(() => checkpoint.Read(Qwen2Tensors.Embedding, new float[16], start: -1));
    }

    [Fact]
    public void The_same_weights_give_the_same_bytes()
    {
        using TinyCheckpoint one = new TinyCheckpoint().Write(), two = new TinyCheckpoint().Write();

        Assert.Equal(File.ReadAllBytes(one.Single), File.ReadAllBytes(two.Single));
        Assert.Equal(File.ReadAllBytes(Path.Combine(one.Folder, "config.json")), File.ReadAllBytes(Path.Combine(two.Folder, "config.json")));
    }

    [Fact]
    public void A_missing_tensor_is_named()
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write().Rewrite(tensors => tensors.Where(t => t.Name != "model.layers.1.mlp.up_proj.weight"));

        ModelFormatException error = Refuse(tiny, "MDL2011");
        Assert.Contains("model.layers.1.mlp.up_proj.weight", error.Message, StringComparison.Ordinal);
        Assert.Equal(tiny.Single, error.Path);
    }

    [Fact]
    public void A_tensor_of_another_shape_is_named_with_both_shapes()
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write().Rewrite(tensors => tensors.Select(t => t.Name == "model.norm.weight" ? t with { Shape = [4, 4] } : t));

        ModelFormatException error = Refuse(tiny, "MDL2012");
        Assert.Contains("\"model.norm.weight\" has shape [4, 4]; config.json implies [16]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_that_the_architecture_does_not_use_is_named()
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write().Rewrite(tensors => [.. tensors, new TensorData("model.layers.0.self_attn.q_norm.weight", TensorDType.F32, [4], new float[4])]);

        Assert.Contains("q_norm", Refuse(tiny, "MDL2015").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_without_weights_is_refused()
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write();
        File.Delete(tiny.Single);

        Assert.Equal(tiny.Single, Refuse(tiny, "MDL2001").Path);
    }

    [Fact]
    public void A_missing_shard_is_named()
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write().Shard(2);
        File.Delete(Path.Combine(tiny.Folder, "model-00002-of-00002.safetensors"));

        Assert.Contains("model-00002-of-00002.safetensors", Refuse(tiny, "MDL2001").Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../model.safetensors")]
    [InlineData("a/../../model.safetensors")]
    [InlineData("/etc/passwd")]
    [InlineData("C:\\model.safetensors")]
    [InlineData("..\\model.safetensors")]
    [InlineData("./model.safetensors")]
    [InlineData("")]
    public void A_shard_outside_the_folder_is_refused(string file)
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write();
        File.Delete(tiny.Single);
        File.WriteAllText(tiny.Index, $"{{\"weight_map\": {{\"model.norm.weight\": {System.Text.Json.JsonSerializer.Serialize(file)}}}}}");

        Assert.Contains("model.norm.weight", Refuse(tiny, "MDL2014").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_in_another_shard_than_the_index_says_is_refused()
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write().Shard(2);
        string index = File.ReadAllText(tiny.Index).Replace("\"model.norm.weight\": \"model-00001", "\"model.norm.weight\": \"model-00002", StringComparison.Ordinal);
        if (index == File.ReadAllText(tiny.Index))
            index = index.Replace("\"model.norm.weight\": \"model-00002", "\"model.norm.weight\": \"model-00001", StringComparison.Ordinal);
        File.WriteAllText(tiny.Index, index);

        Assert.Contains("model.norm.weight", Refuse(tiny, "MDL2014").Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"weight_map": []}""")]
    [InlineData("""{"weight_map": {"a": 1}}""")]
    [InlineData("not json")]
    public void A_malformed_index_is_refused(string json)
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write();
        File.Delete(tiny.Single);
        File.WriteAllText(tiny.Index, json);

        Assert.Equal(tiny.Index, Refuse(tiny, "MDL2002").Path);
    }

    [Fact]
    public void A_closed_checkpoint_says_so()
    {
        using TinyCheckpoint tiny = new TinyCheckpoint().Write();
        Checkpoint checkpoint = Checkpoint.Open(tiny.Folder);
        checkpoint.Dispose();

        Assert.Throws<ObjectDisposedException>(() => checkpoint.Read(Qwen2Tensors.Embedding));
    }

    private static ModelFormatException Refuse(TinyCheckpoint tiny, string code)
    {
        var error = Assert.Throws<ModelFormatException>(() => Checkpoint.Open(tiny.Folder));
        Assert.Equal(code, error.Code);
        return error;
    }
}
