using ModelSdk.Runtime.Tests.Fixtures;

namespace ModelSdk.Runtime.Tests;

public sealed class DisposalTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Disposing_waits_for_running_calls_and_refuses_further_ones()
    {
        string folder = TinyBundle.Random(_folder.Path);
        ReasoningModel model = await ReasoningModel.LoadAsync(folder, new ReasoningModelOptions { Threads = 1, MaxConcurrentCalls = 2 }, Cancel);
        using ManualResetEventSlim goOn = new();
        Task<ReasoningResult>[] running = [.. Enumerable.Range(0, 6).Select(i => model.RunAsync(RandomBundle.Ask($"Question {i}") with { Streams = 1 + i % 2 * 2 }, cache: null, (_, _) => goOn.Wait(Cancel), Cancel))];

        Task disposing = model.DisposeAsync().AsTask();
        Assert.False(disposing.IsCompleted);
        goOn.Set();
        await disposing;

        Assert.All(running, task => Assert.True(task.IsCompletedSuccessfully));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => model.AnswerAsync(RandomBundle.Ask("Late."), Cancel));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () =>
        {
            await foreach (ReasoningUpdate update in model.StreamAsync(RandomBundle.Ask("Late."), Cancel))
                Assert.Fail("A disposed model answered.");
        });
        Assert.Throws<ObjectDisposedException>(model.StartConversation);
        await model.DisposeAsync();
    }

    [Fact]
    public async Task Disposing_the_model_ends_its_conversations()
    {
        ReasoningModel model = await ReasoningModel.LoadAsync(TinyBundle.Random(_folder.Path), new ReasoningModelOptions { Threads = 1 }, Cancel);
        Conversation conversation = model.StartConversation();
        await conversation.AnswerAsync(RandomBundle.Ask("First."), Cancel);

        await model.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(() => conversation.AnswerAsync(RandomBundle.Ask("Second."), Cancel));
        await conversation.DisposeAsync();
    }
}
