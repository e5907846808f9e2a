using Microsoft.Extensions.AI;

using ModelSdk.Runtime.Tests.Fixtures;

namespace ModelSdk.Runtime.Tests.Chat;

public class ReasoningChatClientTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_response_holds_reasoning_answer_and_usage()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker]);
        using IChatClient chat = scripted.Model.AsChatClient();

        ChatResponse response = await chat.GetResponseAsync("q", cancellationToken: Cancel);

        Assert.Equal("42", response.Text);
        Assert.Equal("abc", Assert.Single(response.Messages[0].Contents.OfType<TextReasoningContent>()).Text);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        Assert.Equal(TinyBundle.Adapter, response.ModelId);
        Assert.Equal(5, response.Usage!.ReasoningTokenCount);
        Assert.Equal(8, response.Usage.OutputTokenCount);
        Assert.Equal(response.Usage.InputTokenCount + 8, response.Usage.TotalTokenCount);
    }

    [Fact]
    public async Task A_stream_joins_to_the_response()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker]);
        using IChatClient chat = scripted.Model.AsChatClient();

        List<ChatResponseUpdate> updates = [];
        await foreach (ChatResponseUpdate update in chat.GetStreamingResponseAsync("q", cancellationToken: Cancel))
            updates.Add(update);
        ChatResponse response = updates.ToChatResponse();

        Assert.True(updates.Count > 3);
        Assert.Equal("42", response.Text);
        Assert.Equal("abc", string.Concat(response.Messages[0].Contents.OfType<TextReasoningContent>().Select(c => c.Text)));
        Assert.Equal(5, response.Usage!.ReasoningTokenCount);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
    }

    [Fact]
    public async Task Options_choose_mode_budget_length_and_stop_texts()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(ScriptedModel.Endless);
        using IChatClient chat = scripted.Model.AsChatClient();

        ChatResponse named = await chat.GetResponseAsync("q", new ChatOptions { AdditionalProperties = new() { ["budget"] = "short" } }, Cancel);
        ChatResponse number = await chat.GetResponseAsync("q", new ChatOptions { ModelId = "base", AdditionalProperties = new() { ["budget"] = 3 } }, Cancel);
        ChatResponse length = await chat.GetResponseAsync("q", new ChatOptions { ModelId = "Tiny", MaxOutputTokens = 4 }, Cancel);
        ChatResponse stop = await chat.GetResponseAsync("q", new ChatOptions { StopSequences = ["7"], AdditionalProperties = new() { ["budget"] = 3L } }, Cancel);

        Assert.Equal((12L, "7", ChatFinishReason.Length), (named.Usage!.ReasoningTokenCount!.Value, named.Text, named.FinishReason!.Value));
        Assert.Equal((3L, "base"), (number.Usage!.ReasoningTokenCount!.Value, number.ModelId));
        Assert.Equal((4L, TinyBundle.Adapter), (length.Usage!.OutputTokenCount!.Value, length.ModelId));
        Assert.Equal(("", ChatFinishReason.Stop), (stop.Text, stop.FinishReason!.Value));
    }

    [Fact]
    public async Task Options_and_named_budgets_ask_for_streams()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load(
            ScriptedModel.Endless, change: b => b with { Budgets = [new("short", 12), new("vote", 9, 4)] });
        using IChatClient chat = scripted.Model.AsChatClient();

        ChatResponse named = await chat.GetResponseAsync("q", new ChatOptions { AdditionalProperties = new() { ["budget"] = "vote" } }, Cancel);
        ChatResponse both = await chat.GetResponseAsync("q", new ChatOptions { AdditionalProperties = new() { ["budget"] = "vote", ["streams"] = 2 } }, Cancel);
        ChatResponse number = await chat.GetResponseAsync("q", new ChatOptions { AdditionalProperties = new() { ["budget"] = "short", ["streams"] = "3" } }, Cancel);

        Assert.Equal((4 * 9L, "7"), (named.Usage!.ReasoningTokenCount!.Value, named.Text));
        Assert.Equal(2 * 9L, both.Usage!.ReasoningTokenCount!.Value);
        Assert.Equal(3 * 12L, number.Usage!.ReasoningTokenCount!.Value);
        Assert.Equal(1.0, named.AdditionalProperties!["confidence"]);
        Assert.Equal(4, Assert.IsType<ReasoningResult>(named.RawRepresentation).Votes[0].Streams);
        Assert.Null((await chat.GetResponseAsync("q", new ChatOptions { MaxOutputTokens = 4 }, Cancel)).AdditionalProperties);

        List<ChatResponseUpdate> updates = [];
        await foreach (ChatResponseUpdate update in chat.GetStreamingResponseAsync("q", new ChatOptions { AdditionalProperties = new() { ["budget"] = "vote" } }, Cancel))
            updates.Add(update);
        Assert.Equal(("7", 1.0), (updates.ToChatResponse().Text, updates[^1].AdditionalProperties!["confidence"]));
    }

    [Fact]
    public async Task Messages_and_instructions_become_turns()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker]);
        using IChatClient chat = scripted.Model.AsChatClient();
        ReasoningResult expected = await scripted.Answer(r => r with
        {
            Turns = [new("system", "Be kind.\nBe brief."), new("user", "a"), new("assistant", "b"), new("user", "c")],
        });

        ChatResponse response = await chat.GetResponseAsync(
            [
                new ChatMessage(ChatRole.System, "Be brief."),
                new ChatMessage(ChatRole.User, "a"),
                new ChatMessage(ChatRole.Assistant, [new TextReasoningContent("not part of the prompt"), new TextContent("b")]),
                new ChatMessage(ChatRole.User, "c"),
            ],
            new ChatOptions { Instructions = "Be kind." },
            Cancel);

        Assert.Equal(expected.Usage.PromptTokens, response.Usage!.InputTokenCount);
    }

    [Fact]
    public async Task A_conversation_as_a_chat_client_reuses_what_is_encoded()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker]);
        await using Conversation conversation = scripted.Model.StartConversation();
        using IChatClient chat = conversation.AsChatClient();

        await chat.GetResponseAsync("hello", new ChatOptions { ModelId = "base" }, Cancel);
        ChatResponse second = await chat.GetResponseAsync("hello", cancellationToken: Cancel);

        Assert.True(second.Usage!.CachedInputTokenCount > 10);
    }

    [Fact]
    public async Task What_the_model_cannot_do_is_refused()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker]);
        using IChatClient chat = scripted.Model.AsChatClient();

        await Assert.ThrowsAsync<InvalidRequestException>(() => chat.GetResponseAsync("q", new ChatOptions { Tools = [AIFunctionFactory.Create(() => 1, "one")] }, Cancel));
        await Assert.ThrowsAsync<InvalidRequestException>(() => chat.GetResponseAsync([new ChatMessage(ChatRole.User, [new DataContent(new byte[] { 1 }, "image/png")])], cancellationToken: Cancel));
        await Assert.ThrowsAsync<InvalidRequestException>(() => chat.GetResponseAsync("q", new ChatOptions { AdditionalProperties = new() { ["budget"] = "huge" } }, Cancel));
        await Assert.ThrowsAsync<InvalidRequestException>(() => chat.GetResponseAsync("q", new ChatOptions { AdditionalProperties = new() { ["streams"] = "many" } }, Cancel));
        await Assert.ThrowsAsync<InvalidRequestException>(() => chat.GetResponseAsync("q", new ChatOptions { AdditionalProperties = new() { ["streams"] = 0 } }, Cancel));
        await Assert.ThrowsAsync<InvalidRequestException>(() => chat.GetResponseAsync("q", new ChatOptions { ModelId = "auto" }, Cancel));
        await Assert.ThrowsAsync<UnknownAdapterException>(() => chat.GetResponseAsync("q", new ChatOptions { ModelId = "poetry" }, Cancel));
    }

    [Fact]
    public async Task Services_are_found_and_disposing_the_client_keeps_the_model()
    {
        await using ScriptedModel scripted = await ScriptedModel.Load([ScriptedModel.Thinker]);
        IChatClient chat = scripted.Model.AsChatClient();

        Assert.Same(scripted.Model, chat.GetService<ReasoningModel>());
        Assert.Equal("modelsdk", chat.GetService<ChatClientMetadata>()!.ProviderName);
        Assert.Null(chat.GetService<string>());
        chat.Dispose();
        Assert.Equal("42", (await scripted.Answer()).Text);
    }
}
