namespace ModelSdk.Compiler.Stages;

/// <summary>Progress on the reporting thread; <see cref="Progress{T}"/> would report late, from the thread pool.</summary>
internal sealed class DirectProgress<T>(Action<T> report) : IProgress<T>
{
    public void Report(T value) => report(value);
}
