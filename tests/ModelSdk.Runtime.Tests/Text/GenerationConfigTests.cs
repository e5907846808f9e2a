using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Tests.Text;

public class GenerationConfigTests
{
    [Fact]
    public void Settings_of_a_published_model_are_read()
    {
        GenerationConfig config = Load("""{"bos_token_id": 151643, "pad_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643], "repetition_penalty": 1.05, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "transformers_version": "4.37.0"}""");

        Assert.Equal([151645, 151643], config.EosTokens);
        Assert.Equal((true, 0.7, 0.8, 20), (config.Samples, config.Temperature, config.TopP, config.TopK));
    }

    [Fact]
    public void One_end_token_may_stand_alone() => Assert.Equal([7], Load("""{"eos_token_id": 7}""").EosTokens);

    [Fact]
    public void What_is_not_given_has_the_defaults_of_transformers()
    {
        GenerationConfig config = Load("""{"eos_token_id": null}""");

        Assert.Empty(config.EosTokens);
        Assert.Equal((false, 1.0, 1.0, 50), (config.Samples, config.Temperature, config.TopP, config.TopK));
    }

    [Fact]
    public void A_folder_without_generation_config_gives_the_end_token_of_its_config()
    {
        using var folder = new TemporaryFolder();
        folder.Write("config.json", """{"model_type": "qwen2", "eos_token_id": 3}""");
        Assert.Equal([3], GenerationConfig.FromFolder(folder.Path).EosTokens);

        folder.Write("generation_config.json", """{"eos_token_id": [4, 5]}""");
        Assert.Equal([4, 5], GenerationConfig.FromFolder(folder.Path).EosTokens);
    }

    [Theory]
    [InlineData("""{"eos_token_id": -1}""", "eos_token_id")]
    [InlineData("""{"eos_token_id": 1.5}""", "eos_token_id")]
    [InlineData("""{"eos_token_id": "1"}""", "eos_token_id")]
    [InlineData("""{"eos_token_id": [1, "2"]}""", "eos_token_id")]
    [InlineData("""{"temperature": -1}""", "temperature")]
    [InlineData("""{"top_k": "all"}""", "top_k")]
    [InlineData("""{"do_sample": 1}""", "do_sample")]
    public void A_wrong_value_is_refused_with_its_key(string json, string key)
    {
        var error = Assert.Throws<ModelFormatException>(() => Load(json));

        Assert.Contains($"\"{key}\"", error.Message, StringComparison.Ordinal);
        Assert.EndsWith("generation_config.json", error.Path, StringComparison.Ordinal);
    }

    private static GenerationConfig Load(string json)
    {
        using var folder = new TemporaryFolder();
        return GenerationConfig.Load(folder.Write("generation_config.json", json));
    }
}
