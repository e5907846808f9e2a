using System.Text.Json.Nodes;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Tests.Bundles;

public class TransformerConfigTests
{
    /// <summary>The values of Qwen2.5-0.5B-Instruct.</summary>
    private const string Qwen25 = """
        {
          "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645,
          "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02, "intermediate_size": 4864,
          "max_position_embeddings": 32768, "max_window_layers": 21, "model_type": "qwen2", "num_attention_heads": 14,
          "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
          "sliding_window": 32768, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true,
          "use_sliding_window": false, "vocab_size": 151936
        }
        """;

    [Fact]
    public void The_config_of_a_published_model_is_read() =>
        Assert.Equal(new TransformerConfig("qwen2", 151936, 896, 4864, 24, 14, 2, 64, 32768, 1e6, 1e-6, TiedEmbeddings: true), Load(Qwen25));

    [Fact]
    public void The_newer_form_of_rotary_settings_is_read() =>
        Assert.Equal(5e5, Load(Edit("rope_parameters", """{"rope_type": "default", "rope_theta": 500000.0}""")).RopeTheta);

    [Fact]
    public void Heads_may_be_wider_than_the_hidden_size_divides()
    {
        TransformerConfig config = Load(Edit("head_dim", "128"));

        Assert.Equal((128, 1792, 256), (config.HeadSize, config.QuerySize, config.KeyValueSize));
    }

    [Theory]
    [InlineData("rope_scaling", "null")]
    [InlineData("rope_scaling", """{"rope_type": "default"}""")]
    [InlineData("layer_types", """["full_attention", "full_attention"]""")]
    [InlineData("bos_token_id", "null")]
    [InlineData("something_else", "[1, 2]")]
    public void What_changes_nothing_is_accepted(string key, string value) => Assert.Equal(Load(Qwen25), Load(Edit(key, value)));

    [Fact]
    public void A_window_that_begins_beyond_the_last_layer_is_not_in_use()
    {
        JsonNode json = JsonNode.Parse(Qwen25)!;
        json["use_sliding_window"] = true;
        json["max_window_layers"] = 24;

        Assert.Equal(24, Load(json.ToJsonString()).Layers);
    }

    [Theory]
    [InlineData("model_type", "\"llama\"", "MDL2003")]
    [InlineData("model_type", "null", "MDL2002")]
    [InlineData("model_type", "5", "MDL2002")]
    [InlineData("rope_scaling", """{"type": "yarn", "factor": 4.0}""", "MDL2004")]
    [InlineData("rope_parameters", """{"rope_type": "dynamic"}""", "MDL2004")]
    [InlineData("use_sliding_window", "true", "MDL2004")]
    [InlineData("layer_types", """["full_attention", "sliding_attention"]""", "MDL2004")]
    [InlineData("hidden_act", "\"gelu\"", "MDL2004")]
    [InlineData("quantization_config", """{"quant_method": "awq"}""", "MDL2004")]
    [InlineData("num_key_value_heads", "3", "MDL2005")]
    [InlineData("num_key_value_heads", "null", "MDL2002")]
    [InlineData("num_attention_heads", "10", "MDL2005")]
    [InlineData("head_dim", "7", "MDL2005")]
    [InlineData("hidden_size", "0", "MDL2005")]
    [InlineData("hidden_size", "-896", "MDL2005")]
    [InlineData("hidden_size", "896.5", "MDL2005")]
    [InlineData("hidden_size", "99999999999", "MDL2005")]
    [InlineData("hidden_size", "\"896\"", "MDL2002")]
    [InlineData("num_hidden_layers", "null", "MDL2002")]
    [InlineData("intermediate_size", "[]", "MDL2002")]
    [InlineData("vocab_size", "null", "MDL2002")]
    [InlineData("max_position_embeddings", "0", "MDL2005")]
    [InlineData("rms_norm_eps", "0", "MDL2005")]
    [InlineData("rope_theta", "-1", "MDL2005")]
    [InlineData("rope_theta", "1e999", "MDL2005")]
    [InlineData("tie_word_embeddings", "\"yes\"", "MDL2002")]
    public void A_config_that_cannot_be_compiled_is_refused_with_key_and_file(string key, string value, string code)
    {
        var error = Assert.Throws<ModelFormatException>(() => Load(Edit(key, value)));

        Assert.Equal(code, error.Code);
        Assert.Contains($"\"{key}", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("config.json", error.Path, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"model_type\": \"qwen2\",}")]
    [InlineData("{\"model_type\": \"qwen2\", \"model_type\": \"qwen2\"}")]
    [InlineData("{\"model_type\": \"qwen2\"")]
    public void Malformed_json_is_refused(string json) =>
        Assert.Equal("MDL2002", Assert.Throws<ModelFormatException>(() => Load(json)).Code);

    [Fact]
    public void A_missing_file_is_named()
    {
        var error = Assert.Throws<ModelFormatException>(() => TransformerConfig.Load("/no/such/config.json"));

        Assert.Equal(("MDL2001", "/no/such/config.json"), (error.Code, error.Path));
    }

    [Fact]
    public void A_byte_order_mark_is_ignored() => Assert.Equal(Load(Qwen25), Load("\ufeff" + Qwen25));

    private static string Edit(string key, string value)
    {
        JsonNode json = JsonNode.Parse(Qwen25)!;
        json[key] = JsonNode.Parse("\"placeholder\"");
        return json.ToJsonString().Replace("\"placeholder\"", value, StringComparison.Ordinal);
    }

    private static TransformerConfig Load(string json)
    {
        using var folder = new TemporaryFolder();
        return TransformerConfig.Load(folder.Write("config.json", json));
    }
}
