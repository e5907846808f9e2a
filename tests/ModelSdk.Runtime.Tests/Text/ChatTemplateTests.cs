using System.Text.Json;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Tests.Text;

public class ChatTemplateTests
{
    private const string QwenSystem = "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n";

    private static readonly string Qwen25 = KnownChatTemplates.Qwen25.Replace("DEFAULT", KnownChatTemplates.Qwen25System, StringComparison.Ordinal) + "\n";

    /// <summary>As in the tokenizer_config.json of Qwen2-7B-Instruct, where line breaks stand as such within Jinja's texts.</summary>
    private const string Qwen2 = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    private const string ChatMl = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    /// <summary>The file holds the template as Qwen2.5-Instruct publishes it.</summary>
    [Fact]
    public void The_published_template_of_Qwen25_is_recognised()
    {
        string path = Path.Combine(GoldenFile.Folder, "qwen2.5-instruct.tokenizer_config.json");

        Assert.Equal("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.", ChatTemplate.Load(path).DefaultSystem);
    }

    [Fact]
    public void Qwen25_puts_its_system_text_before_a_conversation_without_one()
    {
        ChatTemplate template = Load(Config(Qwen25));

        Assert.Equal(
            QwenSystem + "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nHow are you?<|im_end|>\n<|im_start|>assistant\n",
            template.Render([new("user", "Hi"), new("assistant", "Hello!"), new("user", "How are you?")], addGenerationPrompt: true));
        Assert.Equal("<|im_start|>assistant\n", template.GenerationPrompt);
        Assert.Equal("<|im_end|>", template.EndOfTurn);
    }

    [Fact]
    public void A_system_message_replaces_the_default_and_may_come_again_later()
    {
        ChatTemplate template = Load(Config(Qwen25));

        Assert.Equal(
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>system\n<|im_end|>\n",
            template.Render([new("system", "Be brief."), new("user", "Hi"), new("system", "")], addGenerationPrompt: false));
        Assert.StartsWith(QwenSystem, template.Render([new("user", "Hi"), new("system", "Be brief.")], addGenerationPrompt: false), StringComparison.Ordinal);
    }

    [Fact]
    public void Qwen2_has_its_own_system_text()
    {
        ChatTemplate template = Load(Config(Qwen2));

        Assert.Equal("You are a helpful assistant.", template.DefaultSystem);
        Assert.Equal(
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
            template.Render([new("user", "Hi")], addGenerationPrompt: true));
    }

    [Fact]
    public void Base_models_of_Qwen25_have_the_system_text_of_Qwen2() =>
        Assert.Equal("You are a helpful assistant.", Load(Config(Qwen25.Replace(KnownChatTemplates.Qwen25System, "You are a helpful assistant.", StringComparison.Ordinal))).DefaultSystem);

    [Theory]
    [InlineData(ChatMl)]
    [InlineData("{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}" + ChatMl)]
    public void Plain_ChatML_adds_no_system_text(string text)
    {
        ChatTemplate template = Load(Config(text));

        Assert.Null(template.DefaultSystem);
        Assert.Equal("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", template.Render([new("user", "Hi")], addGenerationPrompt: true));
    }

    [Fact]
    public void Of_named_templates_the_default_is_taken()
    {
        string json = JsonSerializer.Serialize(new { chat_template = new[] { new { name = "tool_use", template = "x" }, new { name = "default", template = Qwen2 } } });

        Assert.Equal("You are a helpful assistant.", Load(json).DefaultSystem);
    }

    [Fact]
    public void A_jinja_file_beside_the_config_wins()
    {
        using var folder = new TemporaryFolder();
        folder.Write("chat_template.jinja", Qwen25.Replace("\n", "\r\n", StringComparison.Ordinal));

        Assert.StartsWith("You are Qwen", ChatTemplate.Load(folder.Write("tokenizer_config.json", Config("other"))).DefaultSystem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{% for m in messages %}[INST]{{ m.content }}{% endfor %}\nsecond line", "{% for m in messages %}[INST]{{ m.content }}{% endfor %}\"")]
    [InlineData("", "\"\"")]
    public void Any_other_template_is_refused_with_its_first_line(string text, string named)
    {
        var error = Assert.Throws<ModelFormatException>(() => Load(Config(text)));

        Assert.Equal("MDL2030", error.Code);
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("second line", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_template_that_differs_in_one_character_is_refused()
    {
        for (int at = 0; at < Qwen25.Length - 1; at += 7)
        {
            char other = Qwen25[at] == 'x' ? 'y' : 'x';
            Assert.Null(KnownChatTemplates.Recognise(string.Concat(Qwen25.AsSpan(0, at), other.ToString(), Qwen25.AsSpan(at + 1))));
        }
    }

    [Theory]
    [InlineData("{}", "MDL2002")]
    [InlineData("""{"chat_template": 5}""", "MDL2002")]
    [InlineData("""{"chat_template": [5]}""", "MDL2002")]
    [InlineData("""{"chat_template": []}""", "MDL2030")]
    [InlineData("""{"chat_template": [{"name": "default"}]}""", "MDL2002")]
    [InlineData("""{"chat_template": "\ud800"}""", "MDL2002")]
    [InlineData("[]", "MDL2002")]
    [InlineData("", "MDL2002")]
    public void A_config_without_a_readable_template_is_refused(string json, string code) =>
        Assert.Equal(code, Assert.Throws<ModelFormatException>(() => Load(json)).Code);

    [Fact]
    public void A_conversation_that_cannot_be_rendered_is_refused()
    {
        ChatTemplate template = Load(Config(Qwen25));

        Assert.Throws<ArgumentException>(() => template.Render([], addGenerationPrompt: true));
        Assert.Contains("\"tool\"", Assert.Throws<ArgumentException>(() => template.Render([new("tool", "x")], addGenerationPrompt: true)).Message, StringComparison.Ordinal);
    }

    private static string Config(string template) => JsonSerializer.Serialize(new { chat_template = template });

    private static ChatTemplate Load(string json)
    {
        using var folder = new TemporaryFolder();
        return ChatTemplate.Load(folder.Write("tokenizer_config.json", json));
    }
}
