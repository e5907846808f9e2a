using System.Text.Json.Nodes;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Tests.Support;

namespace ModelSdk.Onnx.Tests.Adapters;

public sealed class LoraAdapterTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Saving_and_loading_gives_the_same_adapter()
    {
        LoraAdapter adapter = TinyModel.Adapter(TinyModel.Config(), 4, 8, ["self_attn.q_proj", "mlp.down_proj"]) with { Dropout = 0.1, BaseModel = "some/base" };

        adapter.Save(folder["adapter"]);
        LoraAdapter loaded = LoraAdapter.Load(folder["adapter"]);

        Assert.Equal((4, 8.0, 0.1, "some/base", 2.0), (loaded.Rank, loaded.Alpha, loaded.Dropout, loaded.BaseModel, loaded.Scale));
        Assert.Equal([7, 8], loaded.InvocationTokens);
        Assert.Equal(["down_proj", "q_proj"], loaded.Targets);
        Assert.Equal(adapter.Linears.Keys.Order(StringComparer.Ordinal), loaded.Linears.Keys.Order(StringComparer.Ordinal));
        foreach (LoraLinear linear in adapter.Linears.Values)
        {
            LoraLinear other = loaded.Linears[linear.Name];
            Assert.Equal((linear.InFeatures, linear.OutFeatures), (other.InFeatures, other.OutFeatures));
            Assert.Equal(linear.A, other.A);
            Assert.Equal(linear.B, other.B);
        }
    }

    [Fact]
    public void Files_have_the_names_and_shapes_of_PEFT()
    {
        TinyModel.Adapter(TinyModel.Config(layers: 1), 4, 8).Save(folder["adapter"]);

        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder["adapter"], "adapter_model.safetensors"));
        Assert.Equal([4, 64], file.Tensors["base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight"].Shape);
        Assert.Equal([32, 4], file.Tensors["base_model.model.model.layers.0.self_attn.k_proj.lora_B.weight"].Shape);
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(folder["adapter"], "adapter_config.json")))!;
        Assert.Equal("LORA", (string?)config["peft_type"]);
        Assert.Equal("CAUSAL_LM", (string?)config["task_type"]);
        Assert.Equal(4, (int?)config["r"]);
        Assert.Equal(8, (double?)config["lora_alpha"]);
        Assert.Equal([7, 8], config["alora_invocation_tokens"]!.AsArray().Select(n => (int)n!));
        Assert.Equal(7, config["target_modules"]!.AsArray().Count);
    }

    [Fact]
    public void Saving_twice_gives_the_same_bytes()
    {
        LoraAdapter adapter = TinyModel.Adapter(TinyModel.Config(), 4, 8);
        adapter.Save(folder["a"]);
        adapter.Save(folder["b"]);
        foreach (string path in Directory.GetFiles(folder["a"]))
            Assert.Equal(File.ReadAllBytes(path), File.ReadAllBytes(Path.Combine(folder["b"], Path.GetFileName(path))));
    }

    [Theory]
    [InlineData("use_dora", "true")]
    [InlineData("use_rslora", "true")]
    [InlineData("fan_in_fan_out", "true")]
    [InlineData("bias", "\"all\"")]
    [InlineData("rank_pattern", "{\"q_proj\": 8}")]
    [InlineData("modules_to_save", "[\"lm_head\"]")]
    [InlineData("peft_type", "\"LOHA\"")]
    public void A_feature_that_is_not_supported_is_refused_by_name(string key, string value)
    {
        TinyModel.Adapter(TinyModel.Config(), 4, 8).Save(folder["adapter"]);
        Edit(config => config[key] = JsonNode.Parse(value));

        var e = Assert.Throws<ExportException>(() => LoraAdapter.Load(folder["adapter"]));

        Assert.Equal("MDL4011", e.Code);
        Assert.Contains(key, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_rank_that_contradicts_the_weights_is_refused()
    {
        TinyModel.Adapter(TinyModel.Config(), 4, 8).Save(folder["adapter"]);
        Edit(config => config["r"] = 8);

        var e = Assert.Throws<ExportException>(() => LoraAdapter.Load(folder["adapter"]));

        Assert.Equal("MDL4010", e.Code);
        Assert.Contains("rank 8", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_malformed_config_is_one_clear_error()
    {
        TinyModel.Adapter(TinyModel.Config(), 4, 8).Save(folder["adapter"]);
        File.WriteAllText(Path.Combine(folder["adapter"], "adapter_config.json"), "{ \"r\": ");

        Assert.Equal("MDL4010", Assert.Throws<ExportException>(() => LoraAdapter.Load(folder["adapter"])).Code);
    }

    private void Edit(Action<JsonNode> change)
    {
        string path = Path.Combine(folder["adapter"], "adapter_config.json");
        JsonNode config = JsonNode.Parse(File.ReadAllText(path))!;
        change(config);
        File.WriteAllText(path, config.ToJsonString());
    }
}
