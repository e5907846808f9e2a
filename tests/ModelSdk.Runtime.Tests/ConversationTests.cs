using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Tests.Fixtures;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Tests;

public class ConversationTests(RandomBundle bundle) : IClassFixture<RandomBundle>
{
    private const string Question = "Ann has 3 apples and Ben has 5 more than Ann. How many apples has Ben?";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private int GenerationPromptTokens => bundle.Model.Loaded.Tokenizer.Encode(bundle.Model.Loaded.Template.GenerationPrompt).Length;

    [Fact]
    public async Task Switching_from_chat_to_reasoning_runs_only_the_generation_prompt()
    {
        await using Conversation conversation = bundle.Model.StartConversation();
        ReasoningResult chat = await conversation.AnswerAsync(RandomBundle.Ask(Question, tokens: 1), Cancel);
        long baseRun = conversation.TokensRun(BundleManifest.BaseMode);
        Assert.Equal(chat.Usage.PromptTokens, baseRun);

        ReasoningResult reasoned = await conversation.AnswerAsync(RandomBundle.Ask(Question, TinyBundle.Adapter, tokens: 1), Cancel);

        Assert.Equal(baseRun, conversation.TokensRun(BundleManifest.BaseMode));
        Assert.Equal(GenerationPromptTokens, conversation.TokensRun(TinyBundle.Adapter));
        Assert.Equal(0, reasoned.Usage.EncodedPromptTokens);
        Assert.Equal(reasoned.Usage.PromptTokens - GenerationPromptTokens, reasoned.Usage.ReusedPromptTokens);
    }

    [Fact]
    public async Task A_shared_prompt_gives_the_same_text_as_one_encoded_afresh()
    {
        await using Conversation conversation = bundle.Model.StartConversation();
        foreach (string mode in (string[])["base", TinyBundle.Adapter, "base", TinyBundle.Adapter + "2", TinyBundle.Adapter])
        {
            ReasoningResult shared = await conversation.AnswerAsync(RandomBundle.Ask(Question, mode), Cancel);
            ReasoningResult fresh = await bundle.Model.AnswerAsync(RandomBundle.Ask(Question, mode), Cancel);

            Assert.Equal(fresh.Text, shared.Text);
            Assert.Equal(0, fresh.Usage.ReusedPromptTokens);
        }
    }

    [Fact]
    public async Task A_chat_that_goes_on_encodes_only_what_is_new()
    {
        await using Conversation conversation = bundle.Model.StartConversation();
        ReasoningResult first = await conversation.AnswerAsync(RandomBundle.Ask(Question), Cancel);
        ReasoningRequest next = RandomBundle.Ask("?") with
        {
            Turns = [new ChatTurn("user", Question), new ChatTurn("assistant", "Eight."), new ChatTurn("user", "Why?")],
        };

        ReasoningResult second = await conversation.AnswerAsync(next, Cancel);

        // The whole first prompt is the beginning of the second one.
        Assert.Equal(first.Usage.PromptTokens, second.Usage.ReusedPromptTokens);
        Assert.Equal(second.Usage.PromptTokens - first.Usage.PromptTokens, second.Usage.EncodedPromptTokens);
        Assert.Equal((await bundle.Model.AnswerAsync(next, Cancel)).Text, second.Text);
    }

    [Fact]
    public async Task What_an_adapter_wrote_is_encoded_again_by_the_base_when_it_becomes_history()
    {
        await using Conversation conversation = bundle.Model.StartConversation();
        ReasoningResult first = await conversation.AnswerAsync(RandomBundle.Ask(Question, TinyBundle.Adapter), Cancel);
        ReasoningRequest next = RandomBundle.Ask("?", TinyBundle.Adapter) with
        {
            Turns = [new ChatTurn("user", Question), new ChatTurn("assistant", first.Text), new ChatTurn("user", "Why?")],
        };

        ReasoningResult second = await conversation.AnswerAsync(next, Cancel);

        Assert.Equal(first.Usage.PromptTokens - GenerationPromptTokens, second.Usage.ReusedPromptTokens);
        Assert.Equal((await bundle.Model.AnswerAsync(next, Cancel)).Text, second.Text);
    }

    [Fact]
    public async Task A_repeated_question_runs_one_prompt_token()
    {
        await using Conversation conversation = bundle.Model.StartConversation();
        ReasoningResult first = await conversation.AnswerAsync(RandomBundle.Ask(Question), Cancel);
        ReasoningResult again = await conversation.AnswerAsync(RandomBundle.Ask(Question), Cancel);

        Assert.Equal(1, again.Usage.EncodedPromptTokens);
        Assert.Equal(first.Text, again.Text);
    }

    [Fact]
    public async Task A_cancelled_call_leaves_the_conversation_usable()
    {
        await using Conversation conversation = bundle.Model.StartConversation();
        using CancellationTokenSource stop = new();
        int updates = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => conversation.AnswerAsync(
            RandomBundle.Ask(Question, tokens: 100),
            (_, _) =>
            {
                if (++updates == 3)
                    stop.Cancel();
            },
            stop.Token));
        // The sink runs between two tokens, so nothing was generated after the cancellation.
        Assert.Equal(3, updates);

        ReasoningResult after = await conversation.AnswerAsync(RandomBundle.Ask(Question), Cancel);

        Assert.Equal((await bundle.Model.AnswerAsync(RandomBundle.Ask(Question), Cancel)).Text, after.Text);
    }

    [Fact]
    public async Task A_disposed_conversation_refuses_calls_and_leaves_the_model_alone()
    {
        Conversation conversation = bundle.Model.StartConversation();
        await conversation.DisposeAsync();
        await conversation.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => conversation.AnswerAsync(RandomBundle.Ask(Question), Cancel));
        Assert.NotEmpty((await bundle.Model.AnswerAsync(RandomBundle.Ask(Question), Cancel)).Text);
    }
}
