using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Clients;
using ModelSdk.Runtime.Tests.Fixtures;

namespace ModelSdk.Runtime.Tests.Clients;

public sealed class GeneratedClientTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static readonly BundleContract Contract = new("Tiny", ["arithmetic"], "arithmetic", [new("short", 12), new("long", 64)], new BundleAnswer("integer"));

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_client_loads_the_bundle_that_the_options_name()
    {
        string folder = TinyBundle.Random(_folder.Path, adapters: 1);

        await using ReasoningModel model = await GeneratedClient.LoadAsync(Contract, new ReasoningModelOptions { BundleFolder = folder, Threads = 1 }, Cancel);

        Assert.Equal("Tiny", model.Bundle.Name);
        await Assert.ThrowsAsync<BundleException>(() => GeneratedClient.LoadAsync(Contract with { Name = "Other" }, new ReasoningModelOptions { BundleFolder = folder }, Cancel));
    }

    [Fact]
    public async Task Without_options_the_folder_beside_the_app_is_meant()
    {
        BundleException error = await Assert.ThrowsAsync<BundleException>(() => GeneratedClient.LoadAsync(Contract, cancellationToken: Cancel));

        Assert.Equal("MDL5101", error.Code);
        Assert.Equal(Path.Combine(AppContext.BaseDirectory, "models", "tiny"), error.Path);
    }

    [Fact]
    public async Task Services_hand_out_one_model_and_its_chat_client()
    {
        string folder = TinyBundle.Random(_folder.Path, adapters: 1);
        ServiceCollection services = new();
        GeneratedClient.Add(
            services,
            cancel => GeneratedClient.LoadAsync(Contract, new ReasoningModelOptions { BundleFolder = folder, Threads = 1 }, cancel),
            model => model.AsChatClient());

        await using ServiceProvider provider = services.BuildServiceProvider();

        ReasoningModel model = provider.GetRequiredService<ReasoningModel>();
        Assert.Same(model, provider.GetRequiredService<ReasoningModel>());
        Assert.Same(model, provider.GetRequiredService<IChatClient>().GetService<ReasoningModel>());
    }
}
