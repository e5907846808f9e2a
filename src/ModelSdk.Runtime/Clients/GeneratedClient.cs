using System.ComponentModel;

using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Clients;

/// <summary>What generated clients call. Not meant for hand-written code: use <see cref="ReasoningModel"/>.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class GeneratedClient
{
    /// <summary>Loads the bundle of a generated client and checks that it keeps the client's contract.</summary>
    /// <param name="contract">What the client was compiled for.</param>
    /// <param name="options">Settings; <see cref="ReasoningModelOptions.BundleFolder"/> overrides the folder beside the app.</param>
    /// <param name="cancellationToken">Stops loading.</param>
    /// <exception cref="BundleException">The bundle is missing, damaged, or another one.</exception>
    public static Task<ReasoningModel> LoadAsync(BundleContract contract, ReasoningModelOptions? options = null, CancellationToken cancellationToken = default) =>
        ReasoningModel.LoadAsync(options?.BundleFolder ?? DefaultFolder(contract.Name), options, contract, cancellationToken);

    /// <summary>The folder that a build copies a model's bundle to: models/&lt;name in lower case&gt; beside the app.</summary>
    /// <param name="name">The model's name.</param>
#pragma warning disable CA1308 // The folder's name is lower case by contract with the build.
    public static string DefaultFolder(string name) => Path.Combine(AppContext.BaseDirectory, "models", name.ToLowerInvariant());
#pragma warning restore CA1308

    /// <summary>Registers a generated client as a singleton that is loaded when it is first asked for, and its chat client where none is registered yet.</summary>
    /// <typeparam name="TModel">The generated client.</typeparam>
    /// <param name="services">The services.</param>
    /// <param name="load">Loads the client.</param>
    /// <param name="chat">The client's chat client.</param>
    public static IServiceCollection Add<TModel>(IServiceCollection services, Func<CancellationToken, Task<TModel>> load, Func<TModel, IChatClient> chat)
        where TModel : class, IAsyncDisposable
    {
        ArgumentNullException.ThrowIfNull(services);
        // Dependency injection has no asynchronous factories: the first request waits for the load, on a worker so that no caller's context is needed.
        services.TryAddSingleton(_ => Task.Run(() => load(CancellationToken.None)).GetAwaiter().GetResult());
        services.TryAddSingleton(provider => chat(provider.GetRequiredService<TModel>()));
        return services;
    }
}
