using System.Text.Json.Nodes;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Onnx.Tests.Support;
using ModelSdk.Runtime.Bundles;

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
    [InlineData("use_qalora", "true")]
    [InlineData("use_bdlora", "{\"nblocks\": 2}")]
    [InlineData("fan_in_fan_out", "true")]
    [InlineData("lora_bias", "true")]
    [InlineData("bias", "\"all\"")]
    [InlineData("modules_to_save", "[\"lm_head\"]")]
    [InlineData("trainable_token_indices", "[3]")]
    [InlineData("target_parameters", "[\"mlp.experts.gate_up_proj\"]")]
    [InlineData("layer_replication", "[[0, 2]]")]
    [InlineData("arrow_config", "{\"top_k\": 2}")]
    [InlineData("kasa_config", "{\"beta\": 1}")]
    [InlineData("velora_config", "{\"scale\": 1}")]
    [InlineData("monteclora_config", "{\"num_samples\": 1}")]
    [InlineData("megatron_config", "{\"a\": 1}")]
    [InlineData("init_lora_weights", "\"pissa_niter_16\"")]
    [InlineData("init_lora_weights", "\"loftq\"")]
    [InlineData("init_lora_weights", "\"mica\"")]
    [InlineData("task_type", "\"SEQ_CLS\"")]
    [InlineData("peft_type", "\"LOHA\"")]
    [InlineData("a_key_of_tomorrow", "\"on\"")]
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
    public void Keys_that_do_not_change_what_is_computed_are_let_through()
    {
        LoraAdapter adapter = TinyModel.Adapter(TinyModel.Config(), 4, 8);
        adapter.Save(folder["adapter"]);
        Edit(config =>
        {
            foreach ((string key, string value) in ((string, string)[])
            [
                ("init_lora_weights", "\"gaussian\""), ("auto_mapping", "{\"unsloth_fixed\": true}"), ("peft_version", "\"0.19.0\""), ("revision", "\"main\""),
                ("megatron_core", "\"megatron.core\""), ("qalora_group_size", "16"), ("loftq_config", "{}"), ("eva_config", "{\"rho\": 2}"), ("layer_replication", "null"),
                ("ensure_weight_tying", "true"), ("runtime_config", "{\"ephemeral_gpu_offload\": false}"), ("exclude_modules", "null"), ("modules_to_save", "[]"),
            ])
            {
                config[key] = JsonNode.Parse(value);
            }
        });

        LoraAdapter loaded = LoraAdapter.Load(folder["adapter"]);

        Assert.Equal(adapter.Linears["model.layers.1.mlp.down_proj"].B, loaded.Linears["model.layers.1.mlp.down_proj"].B);
    }

    [Fact]
    public void Rank_and_alpha_patterns_and_stabilized_scales_compute_the_same_update()
    {
        // W x + s B A x with a rank and a scale of its own for each linear, by PEFT's rules: the first pattern that the name ends with.
        TransformerConfig config = TinyModel.Config();
        LoraAdapter four = TinyModel.Adapter(config, 4, 8), two = TinyModel.Adapter(config, 2, 8, seed: 9);
        LoraLinear[] mixed = [.. four.Linears.Values.Select(l => l.Target == "q_proj" || l.Name.StartsWith("model.layers.1.mlp", StringComparison.Ordinal) ? two.Linears[l.Name] : l)];
        Directory.CreateDirectory(folder["adapter"]);
        SafetensorsWriter.Write(Path.Combine(folder["adapter"], "adapter_model.safetensors"), mixed.SelectMany(l => (TensorData[])
        [
            new($"base_model.model.{l.Name}.lora_A.weight", TensorDType.F32, [l.A.Length / l.InFeatures, l.InFeatures], l.A),
            new($"base_model.model.{l.Name}.lora_B.weight", TensorDType.F32, [l.OutFeatures, l.B.Length / l.OutFeatures], l.B),
        ]));
        File.WriteAllText(Path.Combine(folder["adapter"], "adapter_config.json"), """
            {
              "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 6, "use_rslora": true, "target_modules": "all-linear",
              "rank_pattern": { "q_proj": 2, "layers\\.1\\.mlp\\..*": 2 }, "alpha_pattern": { "model.layers.0.mlp.up_proj": 3, "up_proj": 5 }
            }
            """);

        LoraAdapter loaded = LoraAdapter.Load(folder["adapter"]);

        Assert.Equal(4, loaded.Rank);
        foreach (LoraLinear linear in mixed)
        {
            int rank = linear.A.Length / linear.InFeatures;
            double alpha = linear.Name == "model.layers.0.mlp.up_proj" ? 3 : linear.Target == "up_proj" ? 5 : 6;
            double[] expected = Update(linear, rank, alpha / Math.Sqrt(rank));
            double[] actual = Update(loaded.Linears[linear.Name], loaded.Rank, loaded.Scale);
            Assert.InRange(expected.Zip(actual, (x, y) => Math.Abs(x - y)).Max(), 0, 1e-6);
        }

        loaded.Save(folder["again"]);
        LoraAdapter again = LoraAdapter.Load(folder["again"]);
        int[] ids = TinyModel.Tokens(config, 10);
        using Checkpoint checkpoint = TinyModel.Write(folder["base"], config);
        double[][] before = new ReferenceTransformer(config, checkpoint.Read, loaded).Forward(ids), after = new ReferenceTransformer(config, checkpoint.Read, again).Forward(ids);
        Assert.InRange(before.Zip(after, (x, y) => x.Zip(y, (u, v) => Math.Abs(u - v)).Max()).Max(), 0, 1e-5);
    }

    [Theory]
    [InlineData("target_modules", "[\"q_proj\"]", "model.layers.0.mlp.down_proj")]
    [InlineData("target_modules", "\".*self_attn.*\"", "model.layers.0.mlp.down_proj")]
    [InlineData("exclude_modules", "[\"v_proj\"]", "model.layers.0.self_attn.v_proj")]
    [InlineData("layers_to_transform", "[0]", "model.layers.1.mlp.down_proj")]
    [InlineData("layers_to_transform", "1", "model.layers.0.mlp.down_proj")]
    public void Weights_of_a_module_that_is_no_target_are_refused(string key, string value, string module)
    {
        TinyModel.Adapter(TinyModel.Config(), 4, 8).Save(folder["adapter"]);
        Edit(config => config[key] = JsonNode.Parse(value));

        var e = Assert.Throws<ExportException>(() => LoraAdapter.Load(folder["adapter"]));

        Assert.Equal("MDL4010", e.Code);
        Assert.Contains(module, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("target_modules", "\".*self_attn(\"", "regular expression")]
    [InlineData("target_modules", "\"(([a-z0-9_.])+)+!\"", "takes too long")]
    [InlineData("rank_pattern", "{\"q_proj\": 0}", "rank_pattern")]
    [InlineData("lora_alpha", "\"much\"", "lora_alpha")]
    [InlineData("alora_invocation_tokens", "[1.5]", "alora_invocation_tokens")]
    [InlineData("use_rslora", "1", "use_rslora")]
    [InlineData("lora_dropout", "\"0.1\"", "lora_dropout")]
    [InlineData("lora_dropout", "1.5", "lora_dropout")]
    [InlineData("base_model_name_or_path", "7", "base_model_name_or_path")]
    public void A_value_that_cannot_be_read_is_refused_by_its_key(string key, string value, string text)
    {
        TinyModel.Adapter(TinyModel.Config(), 4, 8).Save(folder["adapter"]);
        Edit(config => config[key] = JsonNode.Parse(value));

        var e = Assert.Throws<ExportException>(() => LoraAdapter.Load(folder["adapter"]));

        Assert.Equal("MDL4010", e.Code);
        Assert.Contains(text, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pickle_is_refused_by_its_name()
    {
        TinyModel.Adapter(TinyModel.Config(), 4, 8).Save(folder["adapter"]);
        File.Move(Path.Combine(folder["adapter"], "adapter_model.safetensors"), Path.Combine(folder["adapter"], "adapter_model.bin"));

        var e = Assert.Throws<ExportException>(() => LoraAdapter.Load(folder["adapter"]));

        Assert.Equal("MDL4011", e.Code);
        Assert.Contains("adapter_model.bin", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Weights_that_are_not_finite_are_refused()
    {
        LoraAdapter adapter = TinyModel.Adapter(TinyModel.Config(), 4, 8);
        adapter.Linears["model.layers.0.mlp.up_proj"].B[3] = float.NaN;
        adapter.Save(folder["adapter"]);

        var e = Assert.Throws<ExportException>(() => LoraAdapter.Load(folder["adapter"]));

        Assert.Equal("MDL4010", e.Code);
        Assert.Contains("model.layers.0.mlp.up_proj.lora_B.weight holds NaN", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Linears_of_some_layers_are_written_by_their_whole_names()
    {
        LoraAdapter adapter = TinyModel.Adapter(TinyModel.Config(), 4, 8);
        (adapter with { Linears = adapter.Linears.Where(l => l.Key != "model.layers.0.mlp.up_proj").ToDictionary() }).Save(folder["adapter"]);

        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(folder["adapter"], "adapter_config.json")))!;
        Assert.Equal(13, config["target_modules"]!.AsArray().Count);
        Assert.Equal(13, LoraAdapter.Load(folder["adapter"]).Linears.Count);
    }

    [Fact]
    public void An_adapter_of_another_base_does_not_fit()
    {
        TransformerConfig config = TinyModel.Config();
        LoraAdapter adapter = TinyModel.Adapter(config, 4, 8) with { BaseDigest = "sha256:aa" };

        AdapterFit.Check(adapter, config, "sha256:aa");
        Assert.Contains("sha256:bb", Assert.Throws<ExportException>(() => AdapterFit.Check(adapter, config, "sha256:bb")).Message, StringComparison.Ordinal);
        Assert.Contains("[64, 160]", Assert.Throws<ExportException>(() => AdapterFit.Check(adapter, TinyModel.Config(intermediate: 96))).Message, StringComparison.Ordinal);
        var e = Assert.Throws<ExportException>(() => AdapterFit.Check(adapter, TinyModel.Config(layers: 1)));
        Assert.Equal("MDL4012", e.Code);
        Assert.Contains("model.layers.1.mlp.down_proj", e.Message, StringComparison.Ordinal);

        adapter.Save(folder["adapter"]);
        Assert.Equal("sha256:aa", LoraAdapter.Load(folder["adapter"]).BaseDigest);
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

    /// <summary>scale B A, [out, in].</summary>
    private static double[] Update(LoraLinear linear, int rank, double scale)
    {
        var update = new double[linear.OutFeatures * linear.InFeatures];
        for (int i = 0; i < linear.OutFeatures; i++)
        {
            for (int j = 0; j < linear.InFeatures; j++)
            {
                for (int k = 0; k < rank; k++)
                    update[(i * linear.InFeatures) + j] += scale * linear.B[(i * rank) + k] * linear.A[(k * linear.InFeatures) + j];
            }
        }

        return update;
    }
}
